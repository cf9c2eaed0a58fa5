import ArgumentParser
import Evaluate
import Foundation

struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure a model's perplexity, and how far it is from a reference model.",
        discussion: """
            Each text is tokenized without special tokens, cut into windows of --window inputs, and every \
            token after the first is predicted from those before it in its window; a last partial window is \
            dropped. Documents that end with a line <|endoftext|> are encoded one by one and each is \
            followed by the tokenizer's end-of-text token; a file without that line is one text. .txt, \
            .jsonl, and either compressed with xz or gzip are read.

              minima evaluate Models/tiny --text Examples/evaluation.txt
              minima evaluate tiny-65 --reference Models/tiny --text a.txt b.txt.xz --windows 40 --json
            """)

    @Argument(help: "Folder of the model.", completion: .directory)
    var model: String

    @Option(
        parsing: .upToNextOption, help: "Files of text; at least one.", completion: .file())
    var text: [String]

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

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if text.isEmpty { throw ValidationError("--text needs at least one file") }
        if window < 1 { throw ValidationError("--window must be 1 or more") }
        if let stride, !(1...window).contains(stride) {
            throw ValidationError("--stride must be from 1 to --window")
        }
        if let windows, windows < 1 { throw ValidationError("--windows must be 1 or more") }
    }

    func run() throws {
        var stage = EvaluateStage(model: model, texts: text)
        stage.device = try compute.resolve()
        stage.reference = reference
        stage.window = window
        stage.stride = stride ?? window
        stage.windowLimit = windows
        stage.elementType = dtype.elementType
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
        if output.json { try output.printJSON(report) } else { print(report.table) }
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
