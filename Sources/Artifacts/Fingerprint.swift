import Crypto

/// The SHA-256 of a checkpoint's contents: what an artifact was made from.
package struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    package let hex: String

    /// - Returns: `nil` unless `hex` is 64 lower-case hexadecimal digits.
    package init?(hex: String) {
        guard hex.utf8.count == 64, hex.utf8.allSatisfy(Self.digits.contains) else { return nil }
        self.hex = hex
    }

    /// Of several byte strings; where one ends and the next begins counts.
    package init(hashing fields: [[UInt8]]) {
        var hash = CanonicalHash()
        for field in fields { hash.field(field) }
        self.init(hash.sha.finalize())
    }

    /// Of a file's bytes alone.
    package init(ofFile path: String) throws(CheckpointError) {
        let file = try MappedFile(path)
        var sha = SHA256()
        sha.update(bufferPointer: file.bytes)
        self.init(sha.finalize())
    }

    fileprivate init(_ digest: SHA256.Digest) {
        hex = digest.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 2 ? digits : "0" + digits
        }.joined()
    }

    package var description: String { hex }

    private static let digits = Set("0123456789abcdef".utf8)
}

extension Fingerprint: Codable {
    package init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        let hex = try value.decode(String.self)
        guard let fingerprint = Fingerprint(hex: hex) else {
            throw DecodingError.dataCorruptedError(
                in: value, debugDescription: "a fingerprint is 64 hexadecimal digits")
        }
        self = fingerprint
    }

    package func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(hex)
    }
}

extension Checkpoint {
    /// Reads everything once. The same config.json, manifest and tensors give the same fingerprint
    /// however the tensors are spread over files.
    package func fingerprint() throws(CheckpointError) -> Fingerprint {
        var hash = CanonicalHash()
        hash.field(Array("minima checkpoint 1".utf8))
        hash.field(
            try MappedFile.contents(
                "\(folder)/\(ModelConfiguration.file)", limit: ModelConfiguration.largestFile))
        hash.field(manifestSource ?? [])
        for name in tensorNames {
            let file = try file(holding: name)
            let info = try file.locate(name).info
            hash.field(Array(name.utf8))
            hash.field(Array(info.elementType.rawValue.utf8))
            hash.number(info.shape.count)
            for extent in info.shape { hash.number(extent) }
            hash.number(info.byteCount)
            try file.forEachChunk(of: name) { (chunk) throws(CheckpointError) in
                hash.sha.update(bufferPointer: chunk)
            }
        }
        return Fingerprint(hash.sha.finalize())
    }
}

/// Each field is preceded by its length, so that no two checkpoints hash the same bytes.
private struct CanonicalHash {
    var sha = SHA256()

    mutating func field(_ bytes: [UInt8]) {
        number(bytes.count)
        sha.update(data: bytes)
    }

    mutating func number(_ number: Int) {
        withUnsafeBytes(of: UInt64(number).littleEndian) { sha.update(bufferPointer: $0) }
    }
}
