import Tensors

/// Writes a safetensors file tensor by tensor, holding none of them.
///
/// The tensors are declared first, which fixes the header and every tensor's place; they may then be
/// written in any order. The same declarations and elements give the same bytes.
package final class SafetensorsWriter {
    private let file: PendingFile
    private let places: [String: (info: TensorInfo, start: Int)]
    private var bytesLeft: [String: Int]

    /// Lays out the file and reserves its space on the disk.
    /// - Parameters:
    ///   - tensors: of distinct names.
    ///   - metadata: `format: pt` is what transformers looks for before it loads a file.
    package init(
        _ path: String, declaring tensors: [TensorInfo],
        metadata: [String: String] = ["format": "pt"]
    ) throws(CheckpointError) {
        // Widest elements first, so that every tensor is aligned for its type; then by name.
        let ordered = tensors.sorted {
            ($1.elementType.byteCount, $0.name) < ($0.elementType.byteCount, $1.name)
        }
        let header = Self.header(ordered, metadata)
        guard header.count - 8 <= SafetensorsHeader.longest else {
            throw .headerLength(
                file: path, bytes: UInt64(header.count - 8), limit: SafetensorsHeader.longest)
        }
        var places: [String: (info: TensorInfo, start: Int)] = [:]
        var end = header.count
        for tensor in ordered {
            let previous = places.updateValue((tensor, end), forKey: tensor.name)
            precondition(previous == nil, "tensor '\(tensor.name)' is declared twice")
            end += tensor.byteCount
        }
        self.places = places
        bytesLeft = places.mapValues(\.info.byteCount)
        file = try PendingFile(for: path)
        try file.reserve(end)
        try header.withUnsafeBufferPointer { (bytes) throws(CheckpointError) in
            try file.write(UnsafeRawBufferPointer(bytes), at: 0)
        }
    }

    /// Writes a whole tensor, of the declared type and shape.
    package func write(_ tensor: Tensor, named name: String) throws {
        let (info, _) = place(of: name)
        precondition(
            tensor.shape == info.shape && tensor.elementType == info.elementType,
            "'\(name)' was declared as \(info.elementType) \(info.shape), "
                + "not \(tensor.elementType) \(tensor.shape)")
        try tensor.withBytes { try write($0, to: name) }
    }

    /// Writes a piece of a tensor: row-major, little-endian elements from byte `offset` of it on.
    package func write(
        _ bytes: UnsafeRawBufferPointer, to name: String, at offset: Int = 0
    ) throws(CheckpointError) {
        let (info, start) = place(of: name)
        precondition(
            offset >= 0 && offset + bytes.count <= info.byteCount,
            "'\(name)' has \(info.byteCount) bytes, not \(offset) + \(bytes.count)")
        try file.write(bytes, at: start + offset)
        bytesLeft[name, default: 0] -= bytes.count
    }

    /// Makes the file durable under its name. Every declared tensor must have been written.
    package func finish() throws(CheckpointError) {
        let unwritten = bytesLeft.filter { $0.value != 0 }.keys.sorted()
        precondition(unwritten.isEmpty, "never or partly written: \(unwritten.prefix(3))")
        try file.commit()
    }

    private func place(of name: String) -> (info: TensorInfo, start: Int) {
        guard let place = places[name] else { preconditionFailure("'\(name)' was not declared") }
        return place
    }

    /// Length and JSON, padded with spaces to a multiple of eight bytes.
    private static func header(_ tensors: [TensorInfo], _ metadata: [String: String]) -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }
                .map { "\(quoted($0.key)):\(quoted($0.value))" }
            members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
        }
        var start = 0
        for tensor in tensors {
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            let end = start + tensor.byteCount
            members.append(
                "\(quoted(tensor.name)):{\"dtype\":\"\(tensor.elementType.rawValue)\","
                    + "\"shape\":[\(shape)],\"data_offsets\":[\(start),\(end)]}")
            start = end
        }
        var json = Array("{\(members.joined(separator: ","))}".utf8)
        json += Array(repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
