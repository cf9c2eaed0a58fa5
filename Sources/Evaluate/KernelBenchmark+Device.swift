// What only a GPU's own kernels take.
import Artifacts
import Generate
import Models
import Tensors

extension KernelBenchmark {
    /// What a step with more layers takes beyond one with fewer, for each of them, less its linear layers.
    func block(
        _ context: Int, _ sequences: Int, _ bandwidth: Double,
        _ cutOff: (Int) throws -> ModelConfiguration, beside dense: [Sample]
    ) throws -> Sample {
        let counts = (min(2, configuration.layerCount - 1), min(6, configuration.layerCount))
        func seconds(_ layers: Int) throws -> Double {
            let configuration = try cutOff(layers)
            let model = try CausalLanguageModel(
                .random(RandomModel(configuration)), configuration, as: elementType, on: device)
            let step = DecodeBenchmark.step(
                sequences, context, vocabulary: configuration.vocabularySize)
            let runner = try MeasuredModel(model).runner(
                blocks: step.items.reduce(0) { $0 + $1.blocks.count })
            return try stopwatch.time { _ in _ = try runner.logits(of: step) }
        }
        let each =
            try (seconds(counts.1) - seconds(counts.0)) / Double(counts.1 - counts.0)
        let linear = configuration.linearModules(ofLayer: 0).reduce(0.0) { sum, module in
            let sample = dense.first { $0.rows == module.rows && $0.columns == module.columns }
            return sum + (sample?.seconds ?? 0)
        }
        let read = 2 * configuration.keyValueWidth * context * sequences
        return Sample(
            kind: "block", sequences: sequences, rows: context, columns: sequences, values: read,
            seconds: max(0, each - linear), floorSeconds: floor(read, bandwidth))
    }

    /// The likeliest tokens, and some drawn with every cut-off, from logits to the host.
    func draws(_ sequences: Int, _ bandwidth: Double) throws -> [Sample] {
        var cut = SamplingOptions()
        (cut.temperature, cut.topK, cut.topP, cut.minP) = (0.8, 50, 0.95, 0.01)
        let vocabulary = configuration.vocabularySize
        return try [("likeliest token", SamplingOptions()), ("drawn token", cut)].map {
            kind, options in
            let draw = try DeviceDraw(
                options, vocabulary: vocabulary, sequences: sequences, on: device)
            return Sample(
                kind: kind, sequences: sequences, rows: vocabulary, columns: 1,
                values: vocabulary * sequences,
                seconds: try stopwatch.time { _ in try draw.draw() },
                floorSeconds: Double(4 * vocabulary * sequences) / bandwidth)
        }
    }
}
