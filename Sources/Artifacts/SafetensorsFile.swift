import Tensors

/// A safetensors file, mapped into memory; its header has been checked, its data have not been read.
package final class SafetensorsFile: Sendable {
    private let file: MappedFile
    private let header: SafetensorsHeader

    /// Maps the file and checks all that its header claims.
    package init(_ path: String) throws(CheckpointError) {
        file = try MappedFile(path)
        header = try SafetensorsHeader(file.bytes, of: path)
    }

    package var path: String { file.path }

    /// The header's `__metadata__`.
    package var metadata: [String: String] { header.metadata }

    /// Every tensor, in the order of the data.
    package var tensors: [TensorInfo] { header.tensors }

    /// What the header says of a tensor, or `nil` where it has none of that name.
    package func info(_ name: String) -> TensorInfo? {
        header.positions[name].map { header.tensors[$0] }
    }

    /// The tensor as a view of the mapped file: nothing is read until its elements are.
    ///
    /// The view must not be written to (copy it first); it keeps the file mapped. Data that are not
    /// aligned for their type are copied.
    package func tensor(named name: String) throws -> Tensor {
        let (info, range) = try locate(name)
        guard info.byteCount > 0, let base = file.bytes.baseAddress else {
            return try Tensor.uninitialized(info.shape, info.elementType)
        }
        guard range.lowerBound % info.elementType.byteCount == 0 else {
            let copy = try Tensor.uninitialized(info.shape, info.elementType)
            let data = UnsafeRawBufferPointer(rebasing: file.bytes[range])
            try copy.withMutableBytes { $0.copyMemory(from: data) }
            return copy
        }
        return try Tensor(
            viewing: base + range.lowerBound, shape: info.shape, info.elementType, owner: file)
    }

    /// Lends a tensor's bytes, little endian and in row-major order, without copying.
    package func withBytes<Result>(
        of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        let (_, range) = try locate(name)
        return try withExtendedLifetime(file) {
            try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
        }
    }

    /// Gives back the memory of a tensor that has been read, so that reading on through a large file
    /// does not keep all of it resident. Its views stay valid and read the file again.
    package func release(_ name: String) throws(CheckpointError) {
        file.release(try locate(name).range)
    }

    func locate(
        _ name: String
    ) throws(CheckpointError) -> (info: TensorInfo, range: Range<Int>) {
        guard let position = header.positions[name] else {
            throw .missingTensor(name, file: path)
        }
        return (header.tensors[position], header.ranges[position])
    }
}

extension SafetensorsFile {
    /// Bytes that are looked at between two releases of memory.
    static let chunkBytes = 8 << 20

    /// Lends a tensor's bytes piece by piece, and gives each piece's memory back.
    func forEachChunk(
        of name: String, _ body: (UnsafeRawBufferPointer) throws(CheckpointError) -> Void
    ) throws(CheckpointError) {
        let range = try locate(name).range
        var start = range.lowerBound
        while start < range.upperBound {
            let chunk = start..<min(start + Self.chunkBytes, range.upperBound)
            file.prefetch(chunk)
            try body(UnsafeRawBufferPointer(rebasing: file.bytes[chunk]))
            file.release(chunk)
            start = chunk.upperBound
        }
    }
}
