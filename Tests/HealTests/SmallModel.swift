import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors

@testable import Heal

/// An empty folder that is removed with all it holds.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = "\(FileManager.default.temporaryDirectory.path)/minima-heal-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }
}

/// Models of width 32 with random weights.
enum SmallModel {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    static let tiny = root + "/Models/tiny"
    static let text = root + "/Examples/calibration.txt"
    static let otherText = root + "/Examples/evaluation.txt"

    /// With norms on queries and keys and a tied head, or with biases and a head of its own.
    static func configuration(
        _ architecture: Architecture = .qwen3, vocabulary: Int = 61
    ) throws -> ModelConfiguration {
        try ModelConfiguration(
            parsing: Array(
                """
                {"model_type": "\(architecture.rawValue)", "vocab_size": \(vocabulary),
                 "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
                 "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
                 "max_position_embeddings": 256, "rms_norm_eps": 1e-6,
                 "tie_word_embeddings": \(architecture == .qwen3), "dtype": "float32"}
                """.utf8))
    }

    /// Tensors of a dense checkpoint, float32; norms and biases are random too.
    static func tensors(
        of configuration: ModelConfiguration, seed: UInt64 = 1
    ) throws -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        for (index, tensor) in configuration.expectedTensors.enumerated() {
            let noise = try Tensor.normal(tensor.shape, seed: seed &* 1_000 + UInt64(index))
            tensors[tensor.name] =
                tensor.shape.count > 1
                ? try noise * (1 / Double(tensor.shape[1]).squareRoot()) : try noise * 0.2 + 1
        }
        return tensors
    }

    /// The same model with networks for some of its matrices, as a compressed checkpoint holds it.
    static func compressed(
        _ dense: [String: Tensor], _ plans: [MatrixPlan], source: Fingerprint? = nil
    ) throws -> (tensors: [String: Tensor], manifest: CompressionManifest) {
        let source = source ?? Fingerprint(hashing: [[1]])
        let manifest = try CompressionManifest(
            source: source, plan: CompressionPlan(source: source, settings: [:], matrices: plans),
            matrices: try plans.filter(\.isCompressed).map(CompressedMatrix.init))
        var tensors = dense
        for matrix in manifest.matrices {
            guard let weight = tensors.removeValue(forKey: "\(matrix.name).weight") else {
                preconditionFailure("the plan is the model's")
            }
            for patch in matrix.patches {
                let part = try weight.narrowed(0, patch.region.rows)
                    .narrowed(1, patch.region.columns).contiguous()
                guard patch.format != .dense else {
                    tensors[patch.tensors["weight"] ?? ""] = part
                    continue
                }
                let network = try Factorization.decomposing(part, format: patch.format)
                for (name, tensor) in network.parts {
                    guard let stored = patch.tensors[name], tensors[stored] == nil else { continue }
                    tensors[stored] =
                        tensor.elementType.isFloatingPoint
                        ? try tensor.converted(to: .float32).contiguous() : tensor
                }
            }
        }
        return (tensors, manifest)
    }

    /// Every format that a checkpoint can hold, over the matrices of two blocks: trains, rings, Tucker and
    /// block terms, pivoted and not, a mixture, patches, a shared input factor, and some left dense.
    static func everyFormat(of configuration: ModelConfiguration) throws -> [MatrixPlan] {
        func modules(_ layer: Int) -> [LinearModule] { configuration.linearModules(ofLayer: layer) }
        func modes(_ module: LinearModule) -> TensorModes {
            TensorModes(output: [module.rows / 4, 4], input: [4, module.columns / 4])
        }
        func train(_ module: LinearModule) -> Format {
            .tensorTrain(modes(module), ranks: [6])
        }
        func plan(_ module: LinearModule, _ format: Format) -> MatrixPlan {
            MatrixPlan(module, format, as: .float32)
        }
        let (a, b) = (modules(0), modules(1))
        let tucker = { (module: LinearModule) -> Format in
            .tucker(modes(module), ranks: [4, 3, 3, 4])
        }
        let half = a[6].rows / 2
        let patches = [
            PatchPlan(
                MatrixRegion(rows: 0..<half, columns: 0..<a[6].columns), .lowRank(rank: 5),
                as: .float32),
            PatchPlan(
                MatrixRegion(rows: half..<a[6].rows, columns: 0..<a[6].columns),
                .pivotedLowRank(rank: 6), as: .float32),
        ]
        return [
            plan(a[0], .pivotedLowRank(rank: 8)), plan(a[1], train(a[1])),
            plan(a[2], .tensorRing(modes(a[2]), ranks: [3, 4])),
            plan(a[3], .pivoted(train(a[3]))),
            plan(a[4], .lowRank(rank: 7)),
            MatrixPlan(a[5], .lowRank(rank: 7), as: .float32, sharingInputOf: a[4].name),
            MatrixPlan(
                name: a[6].name, rows: a[6].rows, columns: a[6].columns, patches: patches),
            plan(b[0], tucker(b[0])), plan(b[1], .pivoted(tucker(b[1]))),
            plan(b[2], .blockTerm(modes(b[2]), ranks: [3, 2, 2, 3], terms: 2)),
            plan(b[3], .mixture([.pivotedLowRank(rank: 4), train(b[3])])),
            plan(b[4], .pivoted(.tensorRing(modes(b[4]), ranks: [3, 4]))),
        ]
    }

    /// A checkpoint's folder, with the tokenizer of the model that ships.
    static func write(
        _ tensors: [String: Tensor], _ configuration: ModelConfiguration,
        _ manifest: CompressionManifest? = nil, to path: String
    ) throws {
        let names = tensors.keys.sorted()
        let writer = try CheckpointWriter(
            path, like: tiny,
            declaring: names.compactMap { name in
                tensors[name].map { TensorInfo(name: name, of: $0) }
            }, manifest: manifest,
            files: [
                ModelConfiguration.file: configuration.source,
                ModelConfiguration.generationFile: Array("{\"eos_token_id\": 0}".utf8),
            ])
        for name in names { try tensors[name].map { try writer.write($0, named: name) } }
        try writer.finish()
    }
}
