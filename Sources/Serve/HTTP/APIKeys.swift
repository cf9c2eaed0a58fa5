import Foundation

/// The keys that let clients in.
package struct APIKeys: Sendable {
    private let keys: [[UInt8]]

    /// - Parameter keys: not empty, and none of them is.
    package init(_ keys: [String]) { self.keys = keys.map { Array($0.utf8) } }

    /// Reads a file of one key per line; empty lines and lines that begin with # do not count.
    package init(file: String) throws(APIKeysError) {
        guard let data = FileManager.default.contents(atPath: file),
            let text = String(data: data, encoding: .utf8)
        else { throw .unreadable(file) }
        let keys = text.split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty && !$0.hasPrefix("#") }
        guard !keys.isEmpty else { throw .empty(file) }
        if let key = keys.first(where: { $0.utf8.count < 8 || $0.contains(where: \.isWhitespace) })
        {
            throw .weak(file, length: key.utf8.count)
        }
        self.init(keys)
    }

    /// Whether `key` is one of them. Takes as long for a key that is nearly right as for one that is not at all.
    package func accept(_ key: some Collection<UInt8>) -> Bool {
        let given = Array(key)
        var isKnown: UInt8 = 0
        for known in keys {
            var difference: UInt8 = known.count == given.count ? 0 : 1
            for index in known.indices {
                difference |= known[index] ^ (given.isEmpty ? 0 : given[index % given.count])
            }
            // 1 where nothing differs, without a branch.
            isKnown |= UInt8((UInt16(difference) &- 1) >> 15)
        }
        return isKnown == 1
    }

    /// Whether a header `Authorization` lets its sender in: `Bearer KEY`, or `Basic` with the key as password, which is
    /// what browsers can send.
    package func authorize(_ header: String?) -> Bool {
        guard let header else { return false }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return false }
        let value = parts[1].trimmingCharacters(in: .whitespaces)
        switch parts[0].lowercased() {
        case "bearer": return accept(value.utf8)
        case "basic":
            guard let data = Data(base64Encoded: value), let colon = data.firstIndex(of: 0x3A)
            else { return false }
            return accept(data[(colon + 1)...])
        default: return false
        }
    }
}

package enum APIKeysError: Error, Equatable, CustomStringConvertible {
    case unreadable(String)
    case empty(String)
    case weak(String, length: Int)

    package var description: String {
        switch self {
        case .unreadable(let file): "\(file): cannot be read as UTF-8 text"
        case .empty(let file): "\(file): holds no key"
        case .weak(let file, let length):
            "\(file): a key has 8 bytes or more and no space in it; one of these has \(length)"
        }
    }
}
