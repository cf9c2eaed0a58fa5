import ArgumentParser
import Artifacts
import Evaluate
import Foundation
import Models
import Tensors

struct BenchDecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Time decode steps of a model, beside what its bytes allow.",
        discussion: """
            A step gives each of --batch sequences, which have seen --context tokens, one token more, as the \
            engine does it. The floor is the bytes that the step must read, the weights once and every \
            sequence's keys and values, at the bandwidth of a pure read in the same run. With --config and \
            --dummy any shape runs with random weights.

              minima bench decode Models/tiny --batch 1,8 --context 128,1024
              minima bench decode --config qwen3-32b.json --dummy --batch 1 --context 8192 --device cuda
            """)

    @Argument(help: "Folder of the model, dense or compressed.", completion: .directory)
    var model: String?

    @Option(
        help: "Configuration of a model without weights, as in config.json.", completion: .file())
    var config: String?

    @Flag(help: "Random weights, of --config's shape.")
    var dummy = false

    @Option(help: "Numbers of sequences that decode together, as in 1,8.")
    var batch = IntegerList(values: [1])

    @Option(help: "Tokens that each has seen, as in 128,1024.")
    var context = IntegerList(values: [128])

    @Option(help: "Type of the weights. Default: bfloat16 on a GPU, float32 on a CPU.")
    var dtype: ComputeType?

    @Option(help: "Seconds for one measurement, about.")
    var seconds = 1.0

    @Flag(help: "Comma-separated values, for a table of results.")
    var csv = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        switch (model, config) {
        case (nil, nil): throw ValidationError("give a model's folder, or --config and --dummy")
        case (.some, .some): throw ValidationError("give a model's folder or --config, not both")
        case (.some, nil):
            if dummy { throw ValidationError("--dummy weights are those of a --config") }
        case (nil, .some):
            guard dummy else {
                throw ValidationError("--config has no weights: pass --dummy for random ones")
            }
        }
        guard seconds > 0, seconds <= 60 else {
            throw ValidationError("--seconds must be above 0 and at most 60")
        }
    }

    func run() throws {
        let device = try compute.resolve()
        let type = dtype?.elementType ?? (device == .cpu ? .float32 : .bfloat16)
        let configuration =
            try config.map { try ModelConfiguration(file: $0) }
            ?? ModelConfiguration(folder: model ?? "")
        if let longest = context.values.max(), longest >= configuration.maxPositions {
            throw ContextTooLong(tokens: longest, context: configuration.maxPositions)
        }
        let source: WeightSource =
            try model.map { folder in
                let checkpoint = try Checkpoint(folder)
                try checkpoint.validate(against: configuration)
                return .checkpoint(checkpoint)
            } ?? .random(RandomModel(configuration))
        var benchmark = DecodeBenchmark(
            try CausalLanguageModel(source, configuration, as: type, on: device))
        benchmark.batches = batch.values
        benchmark.contexts = context.values
        benchmark.seconds = seconds
        let line = ProgressLine(
            "bench decode", unit: "cases", total: batch.values.count * context.values.count,
            isQuiet: result.quiet || result.json)
        let cases = try withoutGradients {
            try benchmark.run { done, _, note in
                try Interruption.check()
                try line.update(done, note: note)
            }
        }
        line.finish()
        if result.json {
            try result.printJSON(cases)
        } else {
            print(csv ? Self.csv(cases) : Self.table(cases))
        }
    }

    private static let columns = [
        "batch", "context", "step_ms", "floor_ms", "ratio_to_floor", "tokens_per_second",
        "tokens_per_second_per_request", "bytes_touched", "measured_bandwidth_tb_s",
        "peak_memory_bytes",
    ]

    private static func values(_ it: DecodeBenchmark.Case) -> [String] {
        [
            "\(it.batch)", "\(it.context)", String(format: "%.4f", it.stepMilliseconds),
            String(format: "%.4f", it.floorMilliseconds), String(format: "%.3f", it.ratioToFloor),
            String(format: "%.1f", it.tokensPerSecond),
            String(format: "%.1f", it.tokensPerSecondPerRequest), "\(it.bytesTouched)",
            String(format: "%.4f", it.measuredBandwidth), "\(it.peakMemoryBytes)",
        ]
    }

    private static func csv(_ cases: [DecodeBenchmark.Case]) -> String {
        ([columns] + cases.map(values)).map { $0.joined(separator: ",") }.joined(separator: "\n")
    }

    private static func table(_ cases: [DecodeBenchmark.Case]) -> String {
        let header = [
            "batch", "context", "step ms", "floor ms", "of floor", "tokens/s", "each", "bytes",
            "TB/s", "peak bytes",
        ]
        return ([header] + cases.map(values)).columns(texts: 0)
    }
}

private struct ContextTooLong: Error, CustomStringConvertible {
    let tokens: Int
    let context: Int

    var description: String {
        "a token behind \(tokens.grouped) others is beyond the model's context of \(context.grouped)"
    }
}
