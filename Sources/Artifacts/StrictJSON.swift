import FoundationEssentials

/// Reads and writes our own JSON artifacts: a key that the type does not know, or has twice, is an
/// error.
package enum StrictJSON {
    /// Reads a whole document.
    /// - Parameters:
    ///   - file: for errors.
    ///   - check: looks at the document before it is taken for a `type`.
    package static func decode<Value: Codable>(
        _ type: Value.Type, from bytes: [UInt8], of file: String,
        check: (JSONValue) throws(CheckpointError) -> Void = { _ in }
    ) throws(CheckpointError) -> Value {
        let given = try JSONValue(parsing: bytes, of: file)
        try check(given)
        let value: Value
        let known: JSONValue
        do {
            value = try JSONDecoder().decode(type, from: Data(bytes))
            // Not by way of JSONDecoder, which tries each type of value with an error for the wrong
            // ones: twenty times as slow.
            known = try JSONValue(parsing: Array(JSONEncoder().encode(value)), of: file)
        } catch let error as DecodingError {
            throw .manifest(file: file, reason: describe(error))
        } catch {
            throw .manifest(file: file, reason: "\(error)")
        }
        // What decoding did not read is not written back: the difference is the unknown keys.
        if let key = unknownKey(in: given, knownIn: known, at: "") {
            throw .manifest(file: file, reason: ManifestError.unknownKey(key).description)
        }
        return value
    }

    /// Readable and the same for the same value: sorted keys, indented, with a final newline.
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    private static func unknownKey(
        in given: JSONValue, knownIn known: JSONValue?, at path: String
    ) -> String? {
        switch (given, known) {
        case (.object(let given), .object(let known)?):
            for (key, value) in given.sorted(by: { $0.key < $1.key }) {
                let path = path.isEmpty ? key : "\(path).\(key)"
                if known[key] == nil, value != .null { return path }
                if let unknown = unknownKey(in: value, knownIn: known[key], at: path) {
                    return unknown
                }
            }
            return nil
        case (.array(let given), .array(let known)?):
            for (index, value) in given.enumerated() where index < known.count {
                if let unknown = unknownKey(
                    in: value, knownIn: known[index], at: "\(path)[\(index)]")
                {
                    return unknown
                }
            }
            return nil
        default:
            return nil
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (last.map { [$0] } ?? [])
            let path = keys.map { $0.intValue.map(String.init) ?? $0.stringValue }
            return path.isEmpty ? "the document" : "'\(path.joined(separator: "."))'"
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(path(context, key)) is missing"
        case .valueNotFound(_, let context): return "\(path(context)) is null"
        case .typeMismatch(_, let context): return "\(path(context)) has the wrong type"
        case .dataCorrupted(let context) where context.codingPath.isEmpty:
            // The text has been parsed before: what Foundation calls invalid JSON, without saying
            // where, is a number that its type cannot hold.
            return "a number is not whole, or too large for its place"
        case .dataCorrupted(let context): return "\(path(context)): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}

extension CompressionManifest {
    /// Reads and checks the contents of `minima.json`.
    package init(parsing bytes: [UInt8], of file: String) throws(CheckpointError) {
        self = try StrictJSON.decode(Self.self, from: bytes, of: file)
        do {
            try validate()
        } catch {
            throw .manifest(file: file, reason: error.description)
        }
    }
}

extension CompressionPlan {
    /// Reads and checks a plan.
    package init(parsing bytes: [UInt8], of file: String) throws(CheckpointError) {
        self = try StrictJSON.decode(Self.self, from: bytes, of: file)
        do {
            try validate()
        } catch {
            throw .manifest(file: file, reason: error.description)
        }
    }
}
