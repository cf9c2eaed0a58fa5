import Analyze
import ArgumentParser
import Artifacts
import Calibration
import Evaluate
import Foundation
import Models
import TensorNetworks
import Tensors

struct BenchAnalyzeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "analyze",
        abstract:
            "Analyse and plan a model of some shape, with random weights, and show where the time goes.",
        discussion: """
            The weights are made on the device, block by block, so that a model that would not fit can be \
            measured. Everything else is what `minima analyze` and `minima plan` do: hidden states go \
            through the disk ($MINIMA_CACHE), every rank of every matrix gets a price, the plan is \
            complete. A run that is killed goes on where it was, and then shows its own time only.

              minima bench analyze --config qwen3-32b.json --dummy --windows 16
            """)

    @Option(help: "Configuration of the model, as in config.json.", completion: .file())
    var config: String

    @Flag(help: "Random weights. Required, so that nobody takes the plan for that of a real model.")
    var dummy = false

    @Option(help: "Calibration windows of random tokens.")
    var windows = 16

    @Option(help: "Tokens per calibration window.")
    var window = 2_048

    @Option(help: "Blocks at most; the model is cut off behind them.")
    var blocks: Int?

    @Option(help: "Share of the linear layers' parameters that the plan keeps.")
    var keep = 0.65

    @Option(name: .shortAndLong, help: "Plan to write.", completion: .file())
    var output: String?

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        guard dummy else { throw ValidationError("only --dummy weights can be measured") }
        guard windows >= 1, window >= 1 else {
            throw ValidationError("--windows and --window must be 1 or more")
        }
        guard keep > 0, keep <= 1 else {
            throw ValidationError("--keep must be above 0 and at most 1")
        }
        if let blocks, blocks < 1 { throw ValidationError("--blocks must be 1 or more") }
    }

    func run() throws {
        let device = try compute.resolve()
        let start = Date()
        let configuration = try ModelConfiguration(file: config, layers: blocks)
        let text = (0..<windows).map { index in
            (0..<window).map { (index * 7_919 + $0 * 104_729) % configuration.vocabularySize }
        }
        var stage = AnalyzeStage(.random(RandomModel(configuration)), calibration: .text(text))
        stage.device = device
        var times = Times()
        let line = ProgressLine(
            "analyze", unit: "steps", total: nil, isQuiet: result.quiet || result.json)
        let map = try stage.run { done, total, step in
            times.add(step)
            try line.update(done, of: total, note: "\(step)")
        }
        line.finish()
        let planning = Date()
        let proposal = try Planner(map, within: .keep(keep)).propose()
        if let output { try proposal.plan.write(output) }
        let report = BenchAnalyzeReport(
            configuration: config, blocks: configuration.layerCount,
            linearParameters: map.parameterCount, calibrationTokens: windows * window,
            candidates: map.matrices.reduce(0) { $0 + $1.candidates.count },
            device: device.description, forwardSeconds: times.forward,
            backwardSeconds: times.backward, priceSeconds: times.price,
            planSeconds: Date().timeIntervalSince(planning),
            totalSeconds: Date().timeIntervalSince(start),
            plannedParameters: proposal.parameterCount, isOptimal: proposal.isOptimal,
            peakMemoryBytes: try PeakMemory.bytes(on: device),
            peakHostBytes: try PeakMemory.residentBytes())
        if result.json { try result.printJSON(report) } else { print(report.table) }
    }
}

/// Seconds by what they were spent on: a step's time is that since the step before it.
private struct Times {
    private var last = Date()
    private(set) var forward = 0.0
    private(set) var backward = 0.0
    private(set) var price = 0.0

    mutating func add(_ step: AnalyzeStep) {
        let now = Date()
        let seconds = now.timeIntervalSince(last)
        last = now
        switch step {
        case .price: price += seconds
        case .moments(let step) where step.phase == .forward: forward += seconds
        case .moments: backward += seconds
        }
    }
}

private struct BenchAnalyzeReport: Encodable {
    let configuration: String
    let blocks: Int
    let linearParameters: Int
    let calibrationTokens: Int
    let candidates: Int
    let device: String
    let forwardSeconds: Double
    /// With the moments of inputs and outputs.
    let backwardSeconds: Double
    let priceSeconds: Double
    let planSeconds: Double
    let totalSeconds: Double
    let plannedParameters: Int
    let isOptimal: Bool
    /// Of the device.
    let peakMemoryBytes: Int
    let peakHostBytes: Int

    private enum CodingKeys: String, CodingKey {
        case configuration, blocks, candidates, device
        case linearParameters = "linear_parameters"
        case calibrationTokens = "calibration_tokens"
        case forwardSeconds = "forward_seconds"
        case backwardSeconds = "backward_seconds"
        case priceSeconds = "price_seconds"
        case planSeconds = "plan_seconds"
        case totalSeconds = "total_seconds"
        case plannedParameters = "planned_parameters"
        case isOptimal = "optimal"
        case peakMemoryBytes = "peak_memory_bytes"
        case peakHostBytes = "peak_host_bytes"
    }

    var table: String {
        func seconds(_ value: Double) -> String { String(format: "%.1f s", value) }
        return [
            ("model", "\(blocks) blocks, \(linearParameters.grouped) linear parameters, random"),
            ("calibration", "\(calibrationTokens.grouped) tokens"),
            ("device", device),
            ("forward", seconds(forwardSeconds)),
            ("backward and moments", seconds(backwardSeconds)),
            ("prices", "\(seconds(priceSeconds)) for \(candidates.grouped) candidates"),
            ("plan", seconds(planSeconds) + (isOptimal ? ", optimal" : ", bounded")),
            ("total", seconds(totalSeconds)),
            ("planned", "\(plannedParameters.grouped) linear parameters"),
            (
                "peak memory",
                "\(peakMemoryBytes.grouped) bytes on \(device), \(peakHostBytes.grouped) resident"
            ),
        ].aligned
    }
}
