import Foundation

/// `evaluation.json`: what was measured of the models that a run made. Its peaks of memory are the process' since it
/// began, earlier stages included.
package struct RunEvaluation: Codable, Sendable {
    package struct Model: Codable, Sendable {
        /// "compressed" or "healed".
        package let name: String
        package let perplexity: EvaluationReport?
        package let tasks: TaskReport?

        package init(name: String, perplexity: EvaluationReport?, tasks: TaskReport?) {
            self.name = name
            self.perplexity = perplexity
            self.tasks = tasks
        }
    }

    package let version: Int
    /// The dense checkpoint.
    package let source: Fingerprint
    package let models: [Model]

    package init(source: Fingerprint, models: [Model]) {
        version = 1
        self.source = source
        self.models = models
    }

    // Not an artifact of StrictJSON: the perplexity of a ruined model may exceed what JSON's numbers hold.

    /// - Throws: where the file is not one that this program wrote.
    package init(reading path: String) throws {
        let bytes = try MappedFile.contents(path, limit: 256 << 20)
        do {
            self = try ResultJSON.decode(Self.self, from: Data(bytes))
        } catch is DecodingError {
            throw CheckpointError.manifest(
                file: path, reason: "not an evaluation that `minima run` wrote")
        }
        guard version == 1 else {
            throw CheckpointError.manifest(
                file: path, reason: ManifestError.version(version, 1).description)
        }
    }

    package func write(_ path: String) throws {
        try AtomicFile.write(Array(try ResultJSON.encode(self)), to: path)
    }
}
