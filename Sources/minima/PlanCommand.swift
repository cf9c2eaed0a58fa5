import Analyze
import ArgumentParser
import Artifacts
import Foundation
import TensorNetworks

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Choose the format and rank of every matrix that a budget buys.",
        discussion: """
            A sensitivity map predicts what every format of every matrix would cost in quality. The plan \
            is the choice with the least predicted rise of the model's KL divergence within the budget; \
            the same map and budget give the same plan. Nothing is compressed: the table shows what the \
            plan would do, and --output records it. No plan within the budget can be predicted to cost \
            less than the lower bound that is shown.

              minima plan sensitivity.json --keep 0.65 -o plan.json
              minima plan sensitivity.json --bytes 1.2GiB --model dense -o plan.json
              minima plan sensitivity.json --vram 40GiB --context 8192 --model dense \\
                --concurrency 4 -o plan.json
              minima plan sensitivity.json --vram 40GiB --context 8192 --model dense \\
                --decode-tps 50 --kernel-times kernel-times.json -o plan.json

            Give one budget. --keep counts parameters of linear layers. --bytes counts all tensors of the \
            checkpoint. --vram counts the tensors, keys and values of every position in bfloat16, logits \
            and activations, and 1 GiB for the GPU's runtime. Sizes: KiB, MiB, GiB, TiB are powers of \
            1,024; KB, MB, GB, TB of 1,000; a plain number is bytes.

            --kernel-times, a table that `minima bench kernels` measured, predicts what a decode step \
            takes: the sum of the matrices' times, attention over --context tokens of each of \
            --concurrency sequences, and the head. --decode-tps then keeps to plans that are fast enough.
            """)

    @Argument(help: "Sensitivity map, as in sensitivity.json.", completion: .file())
    var sensitivity: String

    @Option(name: .shortAndLong, help: "Plan to write, as in plan.json.", completion: .file())
    var output: String

    @Option(help: "Share of the linear layers' parameters that remains, above 0 and at most 1.")
    var keep: Double?

    @Option(help: "Size of the whole checkpoint, as in 1.2GiB. Needs --model.")
    var bytes: ByteCount?

    @Option(help: "GPU memory that the running model takes, as in 40GiB. Needs --model, --context.")
    var vram: ByteCount?

    @Option(help: "Tokens per second that each sequence decodes at least. Needs --kernel-times.")
    var decodeTps: Double?

    @Option(
        help: "Table that `minima bench kernels` wrote. Needs --model, --context.",
        completion: .file())
    var kernelTimes: String?

    @Option(help: "Tokens of each sequence, for --vram and --kernel-times.")
    var context: Int?

    @Option(help: "Sequences at a time, for --vram and --kernel-times. Default: 1.")
    var concurrency: Int?

    @Option(
        help: "Folder of the dense model that was analysed; another one is refused.",
        completion: .directory)
    var model: String?

    @Option(help: "Leave out low ranks that are no multiple of this.")
    var rankMultiple: Int?

    @Option(help: "Store values in one byte each, and count them so: int8 or fp8.")
    var weights: QuantizedType?

    @Flag(help: "Replace the plan if it exists.")
    var overwrite = false

    @OptionGroup var result: OutputOptions

    func validate() throws {
        _ = try budget()
        if let keep, !(keep > 0 && keep <= 1) {
            throw ValidationError("--keep must be above 0 and at most 1")
        }
        if keep == nil, model == nil {
            throw ValidationError("--\(bytes == nil ? "vram" : "bytes") needs --model")
        }
        if vram == nil, kernelTimes == nil, context != nil || concurrency != nil {
            throw ValidationError(
                "--context and --concurrency belong to --vram and --kernel-times")
        }
        if kernelTimes != nil, model == nil || context == nil {
            throw ValidationError("--kernel-times needs --model and --context")
        }
        if kernelTimes != nil, weights != nil {
            throw ValidationError(
                "--kernel-times were measured with values of two bytes or more, not with --weights")
        }
        if let decodeTps {
            guard kernelTimes != nil else {
                throw ValidationError(
                    "--decode-tps needs --kernel-times, which `minima bench kernels` measures")
            }
            guard decodeTps > 0, decodeTps.isFinite else {
                throw ValidationError("--decode-tps must be above 0")
            }
        }
        if let context, context < 1 { throw ValidationError("--context must be 1 or more") }
        if let concurrency, !(1...MemoryNeed.mostSequences).contains(concurrency) {
            throw ValidationError(
                "--concurrency must be from 1 to \(MemoryNeed.mostSequences)")
        }
        if let rankMultiple, rankMultiple < 1 {
            throw ValidationError("--rank-multiple must be 1 or more")
        }
    }

    private func budget() throws -> PlanBudget {
        switch (keep, bytes, vram) {
        case (let keep?, nil, nil):
            return .keep(keep)
        case (nil, let bytes?, nil):
            return .bytes(bytes.bytes)
        case (nil, nil, let vram?):
            guard let context else { throw ValidationError("--vram needs --context") }
            return .memory(bytes: vram.bytes, context: context, concurrency: concurrency ?? 1)
        default:
            throw ValidationError("give one budget: --keep, --bytes or --vram")
        }
    }

    func run() throws {
        let summary = try made()
        if result.json { try result.printJSON(summary) } else { print(summary.table) }
    }

    /// Plans, and writes the plan.
    func made() throws -> PlanSummary {
        if FileManager.default.fileExists(atPath: output) {
            guard overwrite, !isSensitivity(output) else {
                throw PlanExists(file: output, isSensitivity: isSensitivity(output))
            }
        }
        let map = try SensitivityMap.read(sensitivity)
        var planner = Planner(map, within: try budget())
        planner.rankMultiple = rankMultiple
        planner.weights = weights?.elementType
        planner.model = try model.map { try ModelRemainder(of: map, in: $0) }
        planner.decode = try decodeGoal(planner.model?.configuration)
        let proposal = try planner.propose()
        try proposal.plan.write(output)
        return PlanSummary(map, proposal, planner, output: output)
    }

    private func decodeGoal(_ configuration: ModelConfiguration?) throws -> DecodeGoal? {
        guard let kernelTimes, let configuration, let context else { return nil }
        let time = try DecodeTime(
            try KernelTimes.read(kernelTimes), for: configuration, context: context,
            sequences: concurrency ?? 1)
        return DecodeGoal(time, tokensPerSecond: decodeTps)
    }

    /// Whether a path leads to the sensitivity map, which took hours to make.
    private func isSensitivity(_ path: String) -> Bool {
        func place(_ path: String) -> String {
            URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        }
        return place(path) == place(sensitivity)
    }
}

private struct PlanExists: Error, CustomStringConvertible {
    let file: String
    let isSensitivity: Bool

    var description: String {
        isSensitivity
            ? "\(file) is the sensitivity map; choose another output"
            : "\(file) exists; choose another output or pass --overwrite"
    }
}

extension ByteCount: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
