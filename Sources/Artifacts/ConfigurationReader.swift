import Tensors

/// The keys of one configuration file, read with their limits; every error names file and key.
struct ConfigurationReader {
    let file: String
    /// Path of keys from the top of the file, for errors.
    let prefix: String
    private let members: [String: JSONValue]

    init(_ bytes: [UInt8], of file: String) throws(CheckpointError) {
        guard case .object(let members) = try JSONValue(parsing: bytes, of: file) else {
            throw .malformedJSON(file: file, offset: 0, reason: "an object is expected")
        }
        self.init(file: file, prefix: "", members: members)
    }

    private init(file: String, prefix: String, members: [String: JSONValue]) {
        self.file = file
        self.prefix = prefix
        self.members = members
    }

    func error(_ key: String, _ reason: String) -> CheckpointError {
        .configuration(file: file, key: prefix + key, reason: reason)
    }

    /// The value of a key; `null` is the same as none.
    subscript(_ key: String) -> JSONValue? {
        guard let value = members[key], value != .null else { return nil }
        return value
    }

    /// Whether the key is there at all, `null` included.
    func has(_ key: String) -> Bool { members[key] != nil }

    func object(_ key: String) throws(CheckpointError) -> ConfigurationReader? {
        guard let value = self[key] else { return nil }
        guard case .object(let members) = value else { throw error(key, "is not an object") }
        return ConfigurationReader(file: file, prefix: "\(prefix)\(key).", members: members)
    }

    func string(_ key: String) throws(CheckpointError) -> String? {
        guard let value = self[key] else { return nil }
        guard case .string(let string) = value else { throw error(key, "is not a string") }
        return string
    }

    func bool(_ key: String, default fallback: Bool) throws(CheckpointError) -> Bool {
        guard let value = self[key] else { return fallback }
        guard case .bool(let bool) = value else { throw error(key, "is neither true nor false") }
        return bool
    }

    /// A whole number from `least` to `limit`.
    func size(
        _ key: String, least: Int = 1, limit: Int = ModelConfiguration.largestSize,
        default fallback: Int? = nil
    ) throws(CheckpointError) -> Int {
        guard let value = self[key] else {
            guard let fallback else { throw error(key, "is missing") }
            return fallback
        }
        let whole: Int? =
            switch value {
            case .integer(let integer): integer
            case .number(let number): Int(exactly: number)
            default: nil
            }
        guard let whole, (least...limit).contains(whole) else {
            throw error(key, "is not a whole number from \(least) to \(limit)")
        }
        return whole
    }

    /// A finite number above 0.
    func positive(
        _ key: String, default fallback: Double? = nil
    ) throws(CheckpointError) -> Double {
        guard let value = self[key] else {
            guard let fallback else { throw error(key, "is missing") }
            return fallback
        }
        let number: Double? =
            switch value {
            case .integer(let integer): Double(integer)
            case .number(let number): number
            default: nil
            }
        guard let number, number.isFinite, number > 0 else {
            throw error(key, "is not a number above 0")
        }
        return number
    }

    /// One token number or a list of them.
    func tokens(_ key: String) throws(CheckpointError) -> [Int] {
        let values: [JSONValue] =
            switch self[key] {
            case nil: []
            case .array(let values): values
            case .some(let value): [value]
            }
        var tokens: [Int] = []
        for value in values {
            guard case .integer(let token) = value,
                (0..<ModelConfiguration.largestSize).contains(token)
            else { throw error(key, "is neither a token number nor a list of them") }
            tokens.append(token)
        }
        return tokens
    }
}
