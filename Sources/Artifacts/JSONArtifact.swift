import TensorNetworks

/// An artifact that is one JSON file: `SensitivityMap` and `CompressionPlan`.
///
/// It is strict (an unknown key is an error), versioned, checked whenever it is read or written, and
/// written whole or not at all. The text is indented with sorted keys: the same value gives the same
/// bytes, and two files can be compared line by line.
package protocol JSONArtifact: Codable {
    /// As errors call it, as in "compression plan".
    static var noun: String { get }
    static var currentVersion: Int { get }
    /// Longest file that is read, in bytes.
    static var largestFile: Int { get }

    /// Checks that the artifact means something.
    func validate() throws(ManifestError)
}

extension JSONArtifact {
    /// Reads and checks a file.
    package static func read(_ path: String) throws(CheckpointError) -> Self {
        try read(try MappedFile.contents(path, limit: largestFile), of: path)
    }

    /// Reads and checks a file's contents. `file` is for errors.
    static func read(_ bytes: [UInt8], of file: String) throws(CheckpointError) -> Self {
        let value: Self
        var isOfKnownVersion = false
        do {
            value = try StrictJSON.decode(Self.self, from: bytes, of: file) {
                (document) throws(CheckpointError) in
                try requireVersion(document, of: file)
                isOfKnownVersion = true
            }
        } catch .manifest(file, let reason) where isOfKnownVersion {
            throw .manifest(file: file, reason: "not a \(noun): \(reason)")
        }
        do {
            try value.validate()
        } catch {
            throw .manifest(file: file, reason: error.description)
        }
        return value
    }

    /// Checks the artifact and replaces the file.
    package func write(_ path: String) throws(CheckpointError) {
        let bytes: [UInt8]
        do {
            try validate()
            bytes = try StrictJSON.encode(self)
        } catch let error as ManifestError {
            throw .manifest(file: path, reason: error.description)
        } catch {
            throw .manifest(file: path, reason: "\(error)")
        }
        try AtomicFile.write(bytes, to: path)
    }

    /// A version that this program does not know may have any keys: it is looked at before them.
    private static func requireVersion(
        _ document: JSONValue, of file: String
    ) throws(CheckpointError) {
        guard case .object(let members) = document, case .integer(let version)? = members["version"]
        else { throw .manifest(file: file, reason: "not a \(noun): it has no version") }
        guard version == currentVersion else {
            throw .manifest(
                file: file, reason: ManifestError.version(version, currentVersion).description)
        }
    }
}
