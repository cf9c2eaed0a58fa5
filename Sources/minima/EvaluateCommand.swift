import ArgumentParser
import Artifacts
import Evaluate
import Foundation
import Tensors

struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure perplexity and task accuracy, and the distance from a reference model.",
        discussion: """
            Each text is tokenized without special tokens, cut into windows of --window inputs, and every \
            token after the first is predicted from those before it in its window; a last partial window is \
            dropped. Documents that end with a line <|endoftext|> are encoded one by one and each is \
            followed by the tokenizer's end-of-text token; a file without that line is one text. .txt, \
            .jsonl, and either compressed with xz or gzip are read.

              minima evaluate Models/tiny --text Examples/evaluation.txt
              minima evaluate tiny-65 --reference Models/tiny --text a.txt b.txt.xz --windows 40 --json

            With --kv windows are decoded side by side, token by token, from keys and values as they are cached; \
            the perplexities of --kv fp8 and --kv bf16 show what a cache of one byte a value costs.

              minima evaluate small --text a.txt --window 512 --windows 64 --dtype bfloat16 --kv fp8 --device cuda

            Benchmark tasks are scored as lm-evaluation-harness 0.4 scores them, and metrics have its names. Their \
            documents are JSON lines with the fields of the data sets on the Hugging Face hub, below --task-data:
              lambada/lambada_openai.jsonl             text (or context and continuation)
              hellaswag/validation.jsonl               activity_label, ctx_a, ctx_b (or activity_and_ctx), endings, label
              arc-challenge/test.jsonl or validation   question, choices {text, label}, answerKey
              winogrande/validation.jsonl              sentence, option1, option2, answer
              mmlu/test.jsonl, dev.jsonl (examples)    question, subject, choices, answer
              gsm8k/test.jsonl, train.jsonl (examples) question, answer
            Each may be compressed (.xz, .gz). Few-shot examples of the other tasks come from their train.jsonl.

              minima evaluate tiny-65 --reference Models/tiny --tasks hellaswag,arc-challenge --task-data eval
            """)

    @Argument(help: "Folder of the model.", completion: .directory)
    var model: String

    @Option(
        parsing: .upToNextOption, help: "Files of text to measure perplexity on.",
        completion: .file())
    var text: [String] = []

    @Option(help: "Folder of the model to compare with: mean KL divergence and top-1 agreement.")
    var reference: String?

    @Option(help: "Inputs per window.")
    var window = 2_048

    @Option(help: "Tokens from one window's beginning to the next one's. Default: --window.")
    var stride: Int?

    @Option(help: "Windows of each text at most. Default: all.")
    var windows: Int?

    @Option(help: "Type to compute in: float32 or bfloat16.")
    var dtype = ComputeType.float32

    @Option(
        help:
            "Decode the windows token by token, as `minima generate` does, with keys and values in this type: bf16 or fp8. Default: each window at once."
    )
    var kv: CacheKind?

    @OptionGroup(title: "Benchmark tasks") var benchmark: TaskOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if text.isEmpty, benchmark.tasks.isEmpty {
            throw ValidationError("nothing to measure: pass --text, --tasks or both")
        }
        if window < 1 { throw ValidationError("--window must be 1 or more") }
        if let stride, !(1...window).contains(stride) {
            throw ValidationError("--stride must be from 1 to --window")
        }
        if kv != nil, (stride ?? window) != window || text.isEmpty {
            throw ValidationError("--kv decodes the windows of --text, and takes no --stride")
        }
        if let windows, windows < 1 { throw ValidationError("--windows must be 1 or more") }
    }

    func run() throws {
        let measured = try made()
        if output.json {
            try output.printJSON(measured)
        } else {
            print(
                [measured.perplexity?.table, measured.tasks?.table].compactMap { $0 }
                    .joined(separator: "\n\n"))
        }
    }

    /// Measures what was asked for.
    func made() throws -> Measurements {
        let device = try compute.resolve()
        return Measurements(
            perplexity: text.isEmpty ? nil : try measurePerplexity(on: device),
            tasks: benchmark.tasks.isEmpty ? nil : try measureTasks(on: device))
    }

    private func measurePerplexity(on device: Device) throws -> EvaluationReport {
        var stage = EvaluateStage(model: model, texts: text)
        stage.device = device
        stage.reference = reference
        stage.window = window
        stage.stride = stride ?? window
        stage.windowLimit = windows
        stage.elementType = dtype.elementType
        stage.cache = kv?.elementType
        var lines: [String: ProgressLine] = [:]
        let report = try stage.run { file, done, note in
            let line =
                lines[file]
                ?? ProgressLine(
                    (file as NSString).lastPathComponent, unit: "windows", total: windows,
                    isQuiet: output.quiet || output.json)
            lines[file] = line
            try line.update(done, note: note)
        }
        lines.values.forEach { $0.finish() }
        return report
    }

    private func measureTasks(on device: Device) throws -> TaskReport {
        var stage = TaskStage(
            model: model, tasks: benchmark.tasks, folder: benchmark.taskData ?? "")
        stage.device = device
        stage.reference = reference
        stage.elementType = dtype.elementType
        stage.limit = benchmark.limit
        stage.shots = benchmark.shots
        return try benchmark.run(stage, isQuiet: output.quiet || output.json)
    }
}

/// One JSON object of what was measured: that of the texts, with the tasks in its member `tasks`.
struct Measurements: Encodable {
    let perplexity: EvaluationReport?
    let tasks: TaskReport?

    private enum CodingKeys: String, CodingKey { case tasks }

    func encode(to encoder: any Encoder) throws {
        guard let perplexity else {
            try tasks?.encode(to: encoder)
            return
        }
        try perplexity.encode(to: encoder)
        guard let tasks else { return }
        var members = encoder.container(keyedBy: CodingKeys.self)
        try members.encode(tasks.tasks, forKey: .tasks)
    }
}

extension EvaluationReport {
    /// The report as a person reads it.
    fileprivate var table: String {
        var rows: [(String, String)] = texts.map { text in
            var values = String(
                format: "perplexity %.3f  (%d tokens)", text.perplexity, text.tokens)
            if let dense = text.referencePerplexity {
                values += String(format: "  %+.1f%%", 100 * (text.perplexity / dense - 1))
            }
            if let kl = text.klMean, let agreement = text.top1Agreement {
                values += String(
                    format: "  KL %.4f nats  top-1 agreement %.1f%%", kl, 100 * agreement)
            }
            return ((text.file as NSString).lastPathComponent, values)
        }
        rows.append(
            ("parameters", "\(parameters.grouped), \(linearParameters.grouped) in linear layers"))
        rows.append(("bytes", bytes.grouped))
        rows.append(
            (
                "speed",
                String(format: "%.0f tokens/s, %d threads, %@", tokensPerSecond, threads, device)
            ))
        rows.append(("peak memory", String(format: "%.2f GiB", Double(peakMemoryBytes) / 0x1p30)))
        return rows.aligned
    }
}
