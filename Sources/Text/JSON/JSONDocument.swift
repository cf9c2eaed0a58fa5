/// A JSON text that could not be read: where (byte offset) and why.
struct JSONError: Error {
    let offset: Int
    let cause: String
}

/// A parsed JSON text: the bytes and one flat node list in document order.
///
/// Not a tree of Swift values: a tokenizer of 11 MB holds 600,000 strings, and most of them are only
/// looked up once. Nodes keep byte ranges; strings are unescaped when they are asked for. Parsing uses
/// an explicit stack, so that no nesting can exhaust the real one.
final class JSONDocument {
    enum Kind: UInt8 { case object, array, string, number, `true`, `false`, null }

    struct Node {
        var kind: Kind
        /// Whether the string holds a backslash (strings only).
        var isEscaped: Bool
        /// Byte range in `bytes`; for strings without the quotes.
        var start: UInt32
        var length: UInt32
        /// Index of the first node after this one and all that it contains.
        var next: UInt32
    }

    static let maximumDepth = 64
    static let maximumSize = 512 << 20

    let bytes: [UInt8]
    let nodes: [Node]

    init(_ bytes: [UInt8]) throws(JSONError) {
        guard bytes.count <= Self.maximumSize else {
            throw JSONError(offset: 0, cause: "\(bytes.count) bytes of JSON are too many")
        }
        let parsed = bytes.withUnsafeBufferPointer { buffer -> Result<[Node], JSONError> in
            if let offset = UTF8Validity.firstError(in: buffer) {
                return .failure(JSONError(offset: offset, cause: "not valid UTF-8"))
            }
            var parser = JSONParser(buffer)
            do throws(JSONError) {
                return .success(try parser.parse())
            } catch {
                return .failure(error)
            }
        }
        nodes = try parsed.get()
        self.bytes = bytes
    }

    var root: JSONValue { JSONValue(document: self, index: 0) }

    /// Replaces `output` by the unescaped UTF-8 bytes of the string node at `index`.
    func readString(at index: Int, into output: inout [UInt8]) {
        output.removeAll(keepingCapacity: true)
        let node = nodes[index]
        let range = Int(node.start)..<Int(node.start) + Int(node.length)
        guard node.isEscaped else {
            output.append(contentsOf: bytes[range])
            return
        }
        bytes.withUnsafeBufferPointer { JSONEscapes.unescape($0[range], into: &output) }
    }
}

/// One value of a document.
struct JSONValue {
    let document: JSONDocument
    let index: Int

    var kind: JSONDocument.Kind { document.nodes[index].kind }
    var isNull: Bool { kind == .null }

    var string: String? {
        guard kind == .string else { return nil }
        var bytes: [UInt8] = []
        document.readString(at: index, into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    var bool: Bool? {
        switch kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    /// The number's own text, as it stands in the file.
    var numberText: String? {
        let node = document.nodes[index]
        guard node.kind == .number else { return nil }
        let start = Int(node.start)
        return String(decoding: document.bytes[start..<start + Int(node.length)], as: UTF8.self)
    }

    /// The number if it is a plain integer that fits.
    var int: Int? {
        let node = document.nodes[index]
        guard node.kind == .number, node.length <= 19 else { return nil }
        let start = Int(node.start)
        var value = 0
        var isNegative = false
        for offset in start..<start + Int(node.length) {
            let byte = document.bytes[offset]
            if byte == UInt8(ascii: "-"), offset == start {
                isNegative = true
                continue
            }
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (high, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = high.addingReportingOverflow(Int(byte - 0x30))
            if overflowed || carried { return nil }
            value = sum
        }
        return isNegative ? -value : value
    }

    /// Indices of the elements of an array; empty for other kinds.
    var elements: JSONChildren { JSONChildren(document: document, parent: index, of: .array) }
    /// Indices of the keys of an object; the value of key k is node k + 1. Empty for other kinds.
    var keys: JSONChildren { JSONChildren(document: document, parent: index, of: .object) }

    /// The value of `key` in an object; nil in any other kind. The last of repeated keys counts.
    subscript(key: String) -> JSONValue? {
        var found: JSONValue?
        var bytes: [UInt8] = []
        for node in keys {
            document.readString(at: node, into: &bytes)
            if bytes.elementsEqual(key.utf8) {
                found = JSONValue(document: document, index: node + 1)
            }
        }
        return found
    }

    /// What this value is, for messages.
    var typeName: String {
        switch kind {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .true, .false: "a boolean"
        case .null: "null"
        }
    }
}

/// The direct children of an array, or the keys of an object, as node indices.
struct JSONChildren: Sequence, IteratorProtocol {
    private let document: JSONDocument
    private let step: Int
    private var cursor: Int
    private let end: Int

    init(document: JSONDocument, parent: Int, of kind: JSONDocument.Kind) {
        self.document = document
        let node = document.nodes[parent]
        step = kind == .object ? 1 : 0
        cursor = parent + 1
        end = node.kind == kind ? Int(node.next) : cursor
    }

    mutating func next() -> Int? {
        guard cursor < end else { return nil }
        defer { cursor = Int(document.nodes[cursor + step].next) }
        return cursor
    }
}
