import Foundation
import Text

/// Reads the fields of an object. `null` is as good as nothing; a field that nobody asked for is an error, so that a
/// misspelt option does not silently mean its default.
struct FieldReader {
    private let members: [String: JSON]
    /// Of the object in the body, with a dot behind; empty for the body itself.
    private let path: String
    private var known: Set<String> = []

    init(_ json: JSON, at path: String = "") throws(APIError) {
        guard case .object(let members) = json else {
            throw .invalid(
                "\(path.isEmpty ? "The body" : "`\(path)`") must be an object, not \(json.typeName).",
                param: path.isEmpty ? nil : path)
        }
        self.members = Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0.value) })
        self.path = path.isEmpty ? "" : path + "."
    }

    /// A field's name in messages.
    func name(_ key: String) -> String { path + key }

    mutating func value(_ key: String) -> JSON? {
        known.insert(key)
        guard let value = members[key], value != .null else { return nil }
        return value
    }

    /// Fields that are known and change nothing here.
    mutating func ignore(_ keys: String...) { known.formUnion(keys) }

    /// A field that is known, and may say nothing else than what is done anyway.
    mutating func accept(_ key: String, only values: JSON...) throws(APIError) {
        guard let value = value(key), !values.contains(value) else { return }
        throw .invalid(
            "This server does not support this value of `\(name(key))`.", param: name(key))
    }

    func finish() throws(APIError) {
        guard let key = members.keys.filter({ !known.contains($0) }).min() else { return }
        throw .invalid(
            "Unrecognized request argument supplied: \(name(key).quotedForMessage)",
            param: name(key).quotedForMessage)
    }

    // MARK: Kinds of values

    mutating func string(_ key: String) throws(APIError) -> String? {
        guard let value = value(key) else { return nil }
        guard let string = value.string else { throw wrong(key, "a string", value) }
        return string
    }

    mutating func bool(_ key: String) throws(APIError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard case .bool(let bool) = value else { throw wrong(key, "a boolean", value) }
        return bool
    }

    mutating func int(_ key: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let value = value(key) else { return nil }
        return try Self.int(value, in: range, named: name(key))
    }

    mutating func number(_ key: String, in range: ClosedRange<Double>) throws(APIError) -> Double? {
        guard let value = value(key) else { return nil }
        return try Self.number(value, in: range, named: name(key))
    }

    mutating func array(
        _ key: String, atMost count: Int
    ) throws(APIError) -> [JSON]? {
        guard let value = value(key) else { return nil }
        guard case .array(let elements) = value else { throw wrong(key, "an array", value) }
        guard elements.count <= count else {
            throw .invalid(
                "`\(name(key))` has \(elements.count) elements; at most \(count) are allowed.",
                param: name(key))
        }
        return elements
    }

    /// - Parameter value: a number without a fraction (5.0 is one).
    static func int(
        _ value: JSON, in range: ClosedRange<Int>, named name: String
    ) throws(APIError) -> Int {
        guard case .number(let text) = value, let number = Int(text) ?? wholeNumber(text) else {
            guard case .number = value else {
                throw .invalid("`\(name)` must be an integer, not \(value.typeName).", param: name)
            }
            throw .invalid("`\(name)` must be an integer of 64 bits.", param: name)
        }
        guard range.contains(number) else {
            throw .invalid(
                "`\(name)` must be from \(range.lowerBound) to \(range.upperBound), not \(number).",
                param: name)
        }
        return number
    }

    static func number(
        _ value: JSON, in range: ClosedRange<Double>, named name: String
    ) throws(APIError) -> Double {
        guard case .number(let text) = value, let number = Double(text) else {
            throw .invalid("`\(name)` must be a number, not \(value.typeName).", param: name)
        }
        guard number.isFinite, range.contains(number) else {
            throw .invalid(
                "`\(name)` must be from \(range.lowerBound) to \(range.upperBound), not \(text.prefix(40)).",
                param: name)
        }
        // -0 is 0.
        return number == 0 ? 0 : number
    }

    private static func wholeNumber(_ text: String) -> Int? {
        Double(text).flatMap { abs($0) <= 0x1p53 ? Int(exactly: $0) : nil }
    }

    func wrong(_ key: String, _ expected: String, _ found: JSON) -> APIError {
        .invalid(
            "`\(name(key))` must be \(expected), not \(found.typeName).", param: name(key))
    }
}

extension String {
    /// As much of a text from outside as an error message repeats.
    var quotedForMessage: String {
        count <= 80 ? self : String(prefix(80)) + "…"
    }
}
