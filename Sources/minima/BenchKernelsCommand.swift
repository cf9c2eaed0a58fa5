import ArgumentParser
import Artifacts
import Evaluate
import Foundation
import Models
import TensorNetworks
import Tensors

struct BenchKernelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "Time the parts of a decode step on this machine, for plans that must be fast.",
        discussion: """
            Linear layers of a model's shapes are timed in every format and several sizes, with random \
            weights spread over more memory than caches hold, and so is the rest of a block at several \
            contexts. On a GPU, in bfloat16, it is our own kernels that are timed, replayed as a graph. For each format a fixed time and a time per value are fitted; `error` is how far \
            they are from what was measured. `minima plan --kernel-times` goes by the table. Each time \
            stands beside its floor: the bytes at the bandwidth of a pure read in the same run.

              minima bench kernels --config Models/tiny/config.json -o kernel-times.json
              minima plan sensitivity.json --keep 0.65 --decode-tps 300 --kernel-times kernel-times.json \\
                --model Models/tiny --context 1024 -o plan.json
            """)

    @Option(help: "Configuration of the model, as in config.json.", completion: .file())
    var config: String

    @Option(
        name: .shortAndLong, help: "Table to write, as in kernel-times.json.", completion: .file())
    var output: String

    @Option(
        help: ArgumentHelp(
            "Formats to time beside dense, separated by commas.", valueName: "formats"))
    var formats = FormatList(formats: [.pivotedLowRank, .mixture])

    @Option(help: "Numbers of sequences that decode together, as in 1,8.")
    var batch = IntegerList(values: [1])

    @Option(help: "Contexts at which a block's attention is timed, as in 128,2048.")
    var context = IntegerList(values: [128, 2_048])

    @Option(
        name: .customLong("type"),
        help: "Type to compute in. Default: bfloat16 on a GPU, float32 on a CPU.")
    var computeType: ComputeType?

    @Option(help: "Seconds for one measurement, about.")
    var seconds = 0.2

    @Flag(help: "Replace the table if it exists.")
    var overwrite = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        try MeasurementTime.validate(seconds)
    }

    func run() throws {
        if FileManager.default.fileExists(atPath: output), !overwrite {
            throw TimesExist(file: output)
        }
        let device = try compute.resolve()
        var benchmark = KernelBenchmark(try ModelConfiguration(file: config))
        benchmark.kinds = formats.formats
        benchmark.batches = batch.values
        benchmark.contexts = context.values
        benchmark.device = device
        benchmark.cutOff = { try ModelConfiguration(file: config, layers: $0) }
        benchmark.seconds = seconds
        benchmark.elementType =
            computeType?.elementType ?? (device == .cpu ? .float32 : .bfloat16)
        let line = ProgressLine(
            "bench kernels", unit: "measurements", total: nil,
            isQuiet: result.quiet || result.json)
        let measured = try benchmark.run { try line.update($0, of: $1, note: $2) }
        line.finish()
        try measured.times.write(output)
        if result.json {
            try result.printJSON(
                KernelReport(
                    output: output, readBytesPerSecond: measured.readBandwidth,
                    times: measured.times, samples: measured.samples))
        } else {
            print(table(measured))
        }
    }

    private func table(_ measured: KernelBenchmark.Result) -> String {
        let header = ["what", "batch", "rows", "columns", "values", "µs", "floor µs", "of floor"]
        let rows = measured.samples.map { sample in
            [
                sample.kind, "\(sample.sequences)",
                sample.kind == "block" ? "context" : "\(sample.rows)",
                sample.kind == "block" ? "\(sample.rows)" : "\(sample.columns)",
                sample.values.grouped, String(format: "%.1f", 1e6 * sample.seconds),
                String(format: "%.1f", 1e6 * sample.floorSeconds),
                String(format: "%.2f", sample.floorSeconds / max(sample.seconds, 1e-12)),
            ]
        }
        let fits = measured.times.batches.flatMap { batch in
            batch.formats.map { format in
                (
                    "\(format.kind.rawValue), batch \(batch.sequences)",
                    String(
                        format: "%.1f µs + %.3f ns per 1,000 values, error %.0f%%",
                        1e6 * format.fixedSeconds, 1e12 * format.secondsPerValue,
                        100 * format.error)
                )
            }
        }
        let bandwidth = String(format: "%.1f GB/s", measured.readBandwidth / 1e9)
        return ([header] + rows).columns(texts: 1) + "\n\n"
            + (fits + [("pure read", bandwidth), ("written", output)]).aligned
    }
}

private struct KernelReport: Encodable {
    let output: String
    let readBytesPerSecond: Double
    let times: KernelTimes
    let samples: [KernelBenchmark.Sample]

    private enum CodingKeys: String, CodingKey {
        case output, times, samples
        case readBytesPerSecond = "read_bytes_per_second"
    }
}

private struct TimesExist: Error, CustomStringConvertible {
    let file: String

    var description: String { "\(file) exists; choose another output or pass --overwrite" }
}

/// Numbers from 1 on, separated by commas.
struct IntegerList: ExpressibleByArgument {
    let values: [Int]

    init(values: [Int]) { self.values = values }

    init?(argument: String) {
        var values: [Int] = []
        for text in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Int(text), value >= 1, value <= 1 << 24, !values.contains(value)
            else { return nil }
            values.append(value)
        }
        self.values = values
    }

    var defaultValueDescription: String {
        values.map(String.init).joined(separator: ",")
    }
}
