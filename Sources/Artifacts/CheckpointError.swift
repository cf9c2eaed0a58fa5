import Tensors

/// A checkpoint, or a file of one, that cannot be read, trusted or written.
///
/// Every case carries the file and the facts; the description is one line.
package enum CheckpointError: Error, Equatable, CustomStringConvertible {
    // MARK: Files
    case unreadable(file: String, SystemFault)
    case unwritable(file: String, SystemFault)
    case tooLarge(file: String, bytes: Int, limit: Int)
    case malformedJSON(file: String, offset: Int, reason: String)

    // MARK: Safetensors
    case truncated(file: String, bytes: Int, needed: UInt64)
    case headerLength(file: String, bytes: UInt64, limit: Int)
    case unsupportedElementType(tensor: String, type: String, file: String)
    case shapeOverflow(tensor: String, shape: [Int], file: String)
    case byteCount(tensor: String, found: Int, expected: Int, file: String)
    case outsideFile(tensor: String, offsets: [Int], dataBytes: Int, file: String)
    /// Tensors must follow one another: a start past `expected` is a gap, before it an overlap.
    case notContiguous(tensor: String, start: Int, expected: Int, file: String)
    case uncovered(file: String, bytes: Int)
    case duplicateTensor(String, file: String)
    case notFinite(tensor: String, element: Int, file: String)

    // MARK: Folders
    case noTensorFile(folder: String)
    case twoTensorFiles(folder: String, single: String, index: String)
    case escapingShard(String, index: String)
    case missingShard(String, index: String)
    case missingTensor(String, file: String)
    case unlistedTensor(String, file: String, index: String)
    case tensorInTwoShards(String, String, String)

    // MARK: Meaning
    case configuration(file: String, key: String, reason: String)
    case manifest(file: String, reason: String)
    /// The tensors are not those that config.json and minima.json call for.
    case disagreement(folder: String, [TensorFault])

    package var description: String { Self.oneLine(text) }

    private var text: String {
        switch self {
        case .unreadable(let file, let fault):
            "cannot read \(file): \(fault)"
        case .unwritable(let file, let fault):
            "cannot write \(file): \(fault)"
        case .tooLarge(let file, let bytes, let limit):
            "\(file) has \(bytes) bytes; the limit for it is \(limit)"
        case .malformedJSON(let file, let offset, let reason):
            "\(file) is malformed at byte \(offset): \(reason)"
        case .truncated(let file, let bytes, let needed):
            "\(file) is cut short: it has \(bytes) bytes and needs at least \(needed)"
        case .headerLength(let file, let bytes, let limit):
            "\(file) announces a header of \(bytes) bytes; the limit is \(limit)"
        case .unsupportedElementType(let tensor, let type, let file):
            "tensor '\(tensor)' of \(file) has element type '\(type)', which is not supported"
        case .shapeOverflow(let tensor, let shape, let file):
            "tensor '\(tensor)' of \(file) has shape \(shape), more than memory can address"
        case .byteCount(let tensor, let found, let expected, let file):
            "tensor '\(tensor)' of \(file) spans \(found) bytes; its shape and type take \(expected)"
        case .outsideFile(let tensor, let offsets, let dataBytes, let file):
            "tensor '\(tensor)' of \(file) has offsets \(offsets) outside its \(dataBytes) data bytes"
        case .notContiguous(let tensor, let start, let expected, let file):
            "tensor '\(tensor)' of \(file) starts at \(start), not at \(expected): "
                + (start > expected ? "there is a gap" : "tensors overlap")
        case .uncovered(let file, let bytes):
            "the last \(bytes) bytes of \(file) belong to no tensor"
        case .duplicateTensor(let tensor, let file):
            "\(file) names tensor '\(tensor)' twice"
        case .notFinite(let tensor, let element, let file):
            "tensor '\(tensor)' of \(file) is not finite: element \(element) is NaN or infinite"
        case .noTensorFile(let folder):
            "\(folder) holds neither \(Checkpoint.singleFile) nor \(Checkpoint.indexFile)"
        case .twoTensorFiles(let folder, let single, let index):
            "\(folder) holds both \(single) and an \(index) that does not list it"
        case .escapingShard(let shard, let index):
            "\(index) names the shard '\(shard)', which is not a file name in the same folder"
        case .missingShard(let shard, let index):
            "\(index) names the shard '\(shard)', which does not exist"
        case .missingTensor(let tensor, let file):
            "\(file) has no tensor '\(tensor)'"
        case .unlistedTensor(let tensor, let file, let index):
            "tensor '\(tensor)' of \(file) is not where \(index) says"
        case .tensorInTwoShards(let tensor, let first, let second):
            "tensor '\(tensor)' is both in \(first) and in \(second)"
        case .configuration(let file, let key, let reason):
            "\(file): '\(key)' \(reason)"
        case .manifest(let file, let reason):
            "\(file): \(reason)"
        case .disagreement(let folder, let faults):
            "\(folder): "
                + faults.prefix(3).map(\.description).joined(separator: "; ")
                + (faults.count > 3 ? "; and \(faults.count - 3) more" : "")
        }
    }

    /// Names come from files: without control characters and of readable length.
    private static func oneLine(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars.prefix(1_000) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                line += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                line.unicodeScalars.append(scalar)
            }
        }
        return text.unicodeScalars.count > 1_000 ? line + "…" : line
    }
}

/// One tensor that is not as the configuration and the manifest call for.
package enum TensorFault: Hashable, Sendable, CustomStringConvertible {
    case missing(String)
    case unexpected(String)
    case shape(String, found: [Int], expected: [Int])
    case elementType(String, found: ElementType, expected: String)

    package var description: String {
        switch self {
        case .missing(let name):
            "tensor '\(name)' is missing"
        case .unexpected(let name):
            "tensor '\(name)' belongs to nothing that the configuration describes"
        case .shape(let name, let found, let expected):
            "tensor '\(name)' has shape \(found), not \(expected)"
        case .elementType(let name, let found, let expected):
            "tensor '\(name)' has element type \(found.rawValue), not \(expected)"
        }
    }
}
