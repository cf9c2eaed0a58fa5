/// Access to one JSON file of a tokenizer, with errors that name the file and the path in it.
struct TokenizerReader {
    let file: String
    let root: JSONValue

    static let sizeLimit = 256 << 20

    init(file: String) throws(TokenizerError) {
        self.init(file: file, try Self.parse(try Self.contents(of: file), file: file))
    }

    init(file: String, bytes: [UInt8]) throws(TokenizerError) {
        self.init(file: file, try Self.parse(bytes, file: file))
    }

    private init(file: String, _ document: JSONDocument) {
        self.file = file
        root = document.root
    }

    static func contents(of file: String) throws(TokenizerError) -> [UInt8] {
        do throws(FileFailure) {
            return try FileContents.read(file, limit: sizeLimit)
        } catch {
            throw .unreadable(file: file, cause: error.cause)
        }
    }

    private static func parse(_ bytes: [UInt8], file: String) throws(TokenizerError) -> JSONDocument
    {
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(bytes)
        } catch {
            throw .malformed(
                file: file, cause: "broken JSON at byte \(error.offset): \(error.cause)")
        }
        guard document.root.kind == .object else {
            throw .malformed(
                file: file, cause: "an object was expected, found \(document.root.typeName)")
        }
        return document
    }

    func malformed(_ path: String, expected: String, found: JSONValue?) -> TokenizerError {
        let found = found?.typeName ?? "nothing"
        return .malformed(file: file, cause: "\(path): \(expected) was expected, found \(found)")
    }

    func unsupported(_ part: String, _ found: String) -> TokenizerError {
        .unsupported(file: file, part: part, found: found)
    }

    // MARK: Typed members. `path` is only for messages.

    func string(_ key: String, of value: JSONValue, _ path: String) throws(TokenizerError) -> String
    {
        let member = value[key]
        guard let string = member?.string else {
            throw malformed("\(path).\(key)", expected: "a string", found: member)
        }
        return string
    }

    /// Nil if the member is absent or null.
    func optionalString(
        _ key: String, of value: JSONValue, _ path: String
    ) throws(TokenizerError) -> String? {
        guard let member = value[key], !member.isNull else { return nil }
        guard let string = member.string else {
            throw malformed("\(path).\(key)", expected: "a string", found: member)
        }
        return string
    }

    /// - Parameter absent: what an absent or null member means.
    func bool(
        _ key: String, of value: JSONValue, _ path: String, absent: Bool
    ) throws(TokenizerError) -> Bool {
        guard let member = value[key], !member.isNull else { return absent }
        guard let bool = member.bool else {
            throw malformed("\(path).\(key)", expected: "true or false", found: member)
        }
        return bool
    }

    func int(_ key: String, of value: JSONValue, _ path: String) throws(TokenizerError) -> Int {
        let member = value[key]
        guard let int = member?.int else {
            throw malformed("\(path).\(key)", expected: "an integer", found: member)
        }
        return int
    }

    func array(
        _ key: String, of value: JSONValue, _ path: String
    ) throws(TokenizerError) -> [JSONValue] {
        let member = value[key]
        guard let member, member.kind == .array else {
            throw malformed("\(path).\(key)", expected: "an array", found: member)
        }
        return member.elements.map { JSONValue(document: member.document, index: $0) }
    }
}
