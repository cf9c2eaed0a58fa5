/// The id of a token: its row in the embedding matrix.
package typealias TokenID = Int32

/// Tokens by id and ids by token. Ids may have holes; no two tokens share one.
struct Vocabulary: Sendable {
    /// Ids at or above this are refused: tables indexed by id are as long as the largest id.
    static let idLimit = 1 << 22

    private var tokens: ByteStrings
    /// Id of the token at an index of `tokens`.
    private var ids: [TokenID] = []
    /// Index in `tokens` by id, plus 1; 0 where no token has the id.
    private var indexByID: [UInt32] = []

    init(capacity: Int) { tokens = ByteStrings(capacity: capacity) }

    /// One more than the largest id: the length of a table indexed by id.
    var size: Int { indexByID.count }
    var tokenCount: Int { tokens.count }

    func id(of token: some Collection<UInt8>) -> TokenID? {
        tokens.find(token).map { ids[$0] }
    }

    func id(of token: UnsafeBufferPointer<UInt8>) -> TokenID? {
        tokens.find(token).map { ids[$0] }
    }

    /// The UTF-8 of the token as the file spells it.
    func bytes(of id: TokenID) -> ArraySlice<UInt8>? {
        guard id >= 0, id < indexByID.count, indexByID[Int(id)] != 0 else { return nil }
        return tokens[Int(indexByID[Int(id)]) - 1]
    }

    func text(of id: TokenID) -> String? {
        bytes(of: id).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Adds a token; adding the same token with the same id again changes nothing.
    mutating func add(
        _ token: [UInt8], id: Int, file: String
    ) throws(TokenizerError) {
        guard (0..<Self.idLimit).contains(id) else {
            throw .idOutOfRange(
                file: file, token: String(decoding: token, as: UTF8.self).quoted(),
                id: String(id), limit: Self.idLimit)
        }
        let present = self.id(of: token)
        if present == TokenID(id) { return }
        if let present {
            let name = String(decoding: token, as: UTF8.self).quoted()
            throw .conflictingIDs(file: file, cause: "token \(name) has ids \(present) and \(id)")
        }
        if let other = text(of: TokenID(id)) {
            let name = String(decoding: token, as: UTF8.self).quoted()
            throw .conflictingIDs(
                file: file, cause: "id \(id) belongs to \(other.quoted()) and to \(name)")
        }
        if id >= indexByID.count {
            indexByID.append(contentsOf: repeatElement(0, count: id + 1 - indexByID.count))
        }
        indexByID[id] = UInt32(tokens.append(token) + 1)
        ids.append(TokenID(id))
    }
}
