// config.json + tokenizer + text → a model, from random weights.
import Artifacts
import Foundation
import Models
import Tensors

package struct PretrainStage {
    /// File with the configuration, as Hugging Face writes it.
    package let configuration: String
    /// Folder of the tokenizer.
    package let tokenizer: String
    package var settings: TrainingSettings
    package var place: TrainingPlace
    /// Those that train together.
    package var processes = ProcessGroup()

    package init(
        configuration: String, tokenizer: String, settings: TrainingSettings, place: TrainingPlace
    ) {
        self.configuration = configuration
        self.tokenizer = tokenizer
        self.settings = settings
        self.place = place
    }

    /// Settings of a training from nothing.
    package static var usualSettings: TrainingSettings {
        var settings = TrainingSettings()
        settings.weights = LossWeights(nextToken: 1, divergence: 0, hidden: 0, task: 0)
        settings.trainsEmbeddings = true
        settings.learningRate = 1e-3
        settings.weightDecay = 0.1
        settings.warmup = 0.02
        return settings
    }

    /// - Parameter tell: throwing from it ends the run between two steps; it can be continued.
    package func run(tell: @escaping (TrainingEvent) throws -> Void) throws -> HealReport {
        TorchRuntime.keepFreedMemory()
        let model = try ModelConfiguration(file: configuration)
        precondition(
            settings.trainsEmbeddings && !settings.weights.needsTeacher,
            "a model from nothing has no teacher, and no embeddings to keep")
        let stage = TrainingStage(
            settings: settings, place: place, configuration: model, tokenizer: tokenizer,
            identity: [
                "configuration": .string(Fingerprint(hashing: [model.source]).hex),
                "tokenizer": .string(try TokenFile.identity(ofTokenizer: tokenizer).hex),
            ], processes: processes, tell: tell)
        let origin = TrainingStage.Origin(source: nil, model: configuration, teacher: nil)
        return try stage.run(origin) {
            let masters = try MasterWeights(
                Self.randomWeights(model, seed: settings.seed, on: place.device), nil, model,
                trainsEmbeddings: true)
            return TrainingStage.Parts(
                masters: masters, teacher: nil,
                checkpoint: TrainedCheckpoint(
                    masters, in: model.elementType ?? .bfloat16, companions: tokenizer,
                    files: [ModelConfiguration.file: model.source]),
                original: nil)
        }
    }

    /// Normal with deviation 0.02, those that write into the residual stream divided by √(2 · layers) so that
    /// it does not grow with depth (Radford et al. 2019, GPT-2, section 2.3); norms 1, biases 0.
    static func randomWeights(
        _ configuration: ModelConfiguration, seed: UInt64, on device: Device
    ) throws -> [String: Tensor] {
        var weights: [String: Tensor] = [:]
        let residual = [Projection.output, .down].map { "\($0.rawValue).weight" }
        for (index, tensor) in configuration.expectedTensors.enumerated() {
            guard tensor.shape.count > 1 else {
                weights[tensor.name] = try Tensor.full(
                    tensor.shape, tensor.name.hasSuffix("bias") ? 0 : 1, .float32, on: device)
                continue
            }
            let values = try Tensor.normal(
                tensor.shape, seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index), on: device)
            let writes = residual.contains { tensor.name.hasSuffix($0) }
            let depth = writes ? Double(2 * configuration.layerCount).squareRoot() : 1
            try values.scale(by: 0.02 / depth)
            weights[tensor.name] = values
        }
        return weights
    }
}
