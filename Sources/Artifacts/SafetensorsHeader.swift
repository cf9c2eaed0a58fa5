import Tensors

/// The header of a safetensors file: eight bytes of length, then JSON that lists each tensor's type,
/// shape and place. Everything that it claims is checked before anything is allocated for it.
struct SafetensorsHeader: Sendable {
    /// Longest JSON that is read, in bytes; the limit of the format's reference implementation.
    static let longest = 100_000_000
    /// Most dimensions: a Tucker core has one per mode, and a format has at most 64 pairs of them.
    static let mostDimensions = 128

    let metadata: [String: String]
    /// In the order of their data.
    let tensors: [TensorInfo]
    /// Where each tensor's data lie, counted from the start of the file; parallel to `tensors`.
    let ranges: [Range<Int>]
    /// Position in `tensors` of each name.
    let positions: [String: Int]

    init(_ bytes: UnsafeRawBufferPointer, of file: String) throws(CheckpointError) {
        guard bytes.count >= 8 else {
            throw .truncated(file: file, bytes: bytes.count, needed: 8)
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(Self.longest) else {
            throw .headerLength(file: file, bytes: length, limit: Self.longest)
        }
        guard bytes.count - 8 >= Int(length) else {
            throw .truncated(file: file, bytes: bytes.count, needed: 8 + length)
        }
        let dataStart = 8 + Int(length)
        let declared: DeclaredTensors
        do {
            declared = try DeclaredTensors(
                json: UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]))
        } catch {
            throw .malformedJSON(file: file, offset: 8 + error.offset, reason: error.reason)
        }
        try self.init(declared, data: dataStart..<bytes.count, of: file)
    }

    private init(
        _ declared: DeclaredTensors, data: Range<Int>, of file: String
    ) throws(CheckpointError) {
        var tensors: [TensorInfo] = []
        var ranges: [Range<Int>] = []
        var positions: [String: Int] = [:]
        tensors.reserveCapacity(declared.tensors.count)
        ranges.reserveCapacity(declared.tensors.count)
        positions.reserveCapacity(declared.tensors.count)

        let inDataOrder = declared.tensors.sorted { ($0.start, $0.end) < ($1.start, $1.end) }
        var expectedStart = 0
        for tensor in inDataOrder {
            let info = try Self.check(tensor, dataBytes: data.count, of: file)
            guard tensor.start == expectedStart else {
                throw .notContiguous(
                    tensor: tensor.name, start: tensor.start, expected: expectedStart, file: file)
            }
            expectedStart = tensor.end
            guard positions.updateValue(tensors.count, forKey: tensor.name) == nil else {
                throw .duplicateTensor(tensor.name, file: file)
            }
            tensors.append(info)
            ranges.append(data.lowerBound + tensor.start..<data.lowerBound + tensor.end)
        }
        guard expectedStart == data.count else {
            throw .uncovered(file: file, bytes: data.count - expectedStart)
        }
        (metadata, self.tensors, self.ranges, self.positions) =
            (declared.metadata, tensors, ranges, positions)
    }

    private static func check(
        _ tensor: DeclaredTensors.Declaration, dataBytes: Int, of file: String
    ) throws(CheckpointError) -> TensorInfo {
        guard let type = ElementType(rawValue: tensor.type) else {
            throw .unsupportedElementType(tensor: tensor.name, type: tensor.type, file: file)
        }
        guard tensor.start <= tensor.end, tensor.end <= dataBytes else {
            throw .outsideFile(
                tensor: tensor.name, offsets: [tensor.start, tensor.end], dataBytes: dataBytes,
                file: file)
        }
        guard let info = TensorInfo(name: tensor.name, elementType: type, shape: tensor.shape)
        else {
            throw .shapeOverflow(tensor: tensor.name, shape: tensor.shape, file: file)
        }
        guard info.byteCount == tensor.end - tensor.start else {
            throw .byteCount(
                tensor: tensor.name, found: tensor.end - tensor.start, expected: info.byteCount,
                file: file)
        }
        return info
    }
}

/// What the header's JSON says, before any of it is believed.
private struct DeclaredTensors {
    struct Declaration {
        let name: String
        var type = ""
        var shape: [Int] = []
        var start = 0
        var end = 0
    }

    private(set) var metadata: [String: String] = [:]
    private(set) var tensors: [Declaration] = []

    init(json: UnsafeRawBufferPointer) throws(JSONError) {
        var cursor = JSONCursor(json)
        var metadata: [String: String]?
        var tensors: [Declaration] = []
        try cursor.object { (cursor, name) throws(JSONError) in
            if name == "__metadata__" {
                guard metadata == nil else { throw cursor.failure("two '__metadata__'") }
                metadata = try Self.metadata(&cursor)
            } else {
                tensors.append(try Self.tensor(name, &cursor))
            }
        }
        try cursor.end()
        self.metadata = metadata ?? [:]
        self.tensors = tensors
    }

    private static func metadata(_ cursor: inout JSONCursor) throws(JSONError) -> [String: String] {
        var metadata: [String: String] = [:]
        try cursor.object { (cursor, key) throws(JSONError) in
            guard metadata.updateValue(try cursor.string(), forKey: key) == nil else {
                throw cursor.failure("metadata key '\(key)' appears twice")
            }
        }
        return metadata
    }

    private static func tensor(
        _ name: String, _ cursor: inout JSONCursor
    ) throws(JSONError) -> Declaration {
        var tensor = Declaration(name: name)
        var seen: Set<String> = []
        try cursor.object { (cursor, key) throws(JSONError) in
            guard seen.insert(key).inserted else {
                throw cursor.failure("'\(key)' of tensor '\(name)' appears twice")
            }
            switch key {
            case "dtype":
                tensor.type = try cursor.string()
            case "shape":
                tensor.shape = try numbers(&cursor, most: SafetensorsHeader.mostDimensions)
            case "data_offsets":
                let offsets = try numbers(&cursor, most: 2)
                guard let start = offsets.first, let end = offsets.last, offsets.count == 2 else {
                    throw cursor.failure("tensor '\(name)' needs two offsets")
                }
                (tensor.start, tensor.end) = (start, end)
            default:
                throw cursor.failure("tensor '\(name)' has an unknown key '\(key)'")
            }
        }
        guard seen.count == 3 else {
            throw cursor.failure("tensor '\(name)' lacks dtype, shape or data_offsets")
        }
        return tensor
    }

    private static func numbers(
        _ cursor: inout JSONCursor, most: Int
    ) throws(JSONError) -> [Int] {
        var numbers: [Int] = []
        try cursor.array { (cursor) throws(JSONError) in
            numbers.append(try cursor.naturalNumber())
            guard numbers.count <= most else { throw cursor.failure("more than \(most) numbers") }
        }
        return numbers
    }
}
