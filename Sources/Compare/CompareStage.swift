// dense checkpoint + calibration text + budgets → one entry per method and budget, without healing.
//
// Every method is a plan and fit settings: one program compresses to all of them, counts their bytes and
// measures them against the dense model, which is loaded once and whose hidden states are kept. Entries
// are written as they are complete, and those that are there are not measured again.
import Analyze
import Artifacts
import Calibration
import Compress
import Evaluate
import Foundation
import Models
import Tensors

package struct CompareStage {
    package let source: String
    package let output: String
    package var methods = ComparedMethod.all
    package var keeps = [0.8, 0.65, 0.5]
    /// Windows of equally many token ids.
    package let calibration: [[Int]]
    /// Seed of the labels that are drawn from the model.
    package var seed: UInt64 = 0
    package let texts: [String]
    /// Inputs of a window of the texts, and windows of each at most.
    package var textWindow = 2_048
    package var textWindows: Int?
    /// A sensitivity map with measured divergences, for `ComparedMethod.oracle`.
    package var oracle: SensitivityMap?
    package var device = Device.cpu
    /// Measure again what is there.
    package var overwrite = false
    /// Folder of moments that runs share.
    package var cache = MomentCache.defaultRoot

    package init(source: String, output: String, calibration: [[Int]], texts: [String]) {
        self.source = source
        self.output = output
        self.calibration = calibration
        self.texts = texts
    }

    /// A method that has nothing for a budget, and why.
    package struct Skipped: Codable, Sendable {
        package let method: String
        package let keep: Double
        package let reason: String
    }

    package struct Result: Sendable {
        /// All of the folder, those of other processes too.
        package let entries: [ComparisonEntry]
        package let skipped: [Skipped]
    }

    /// What is being done, and how much of it.
    package typealias Progress = (
        _ task: String, _ done: Int, _ total: Int?, _ note: String
    ) throws -> Void

    private struct Task {
        let method: ComparedMethod
        let keep: Double

        var name: String { ComparisonFolder.name(method.rawValue, keep) }
    }

    /// Bytes of the dense model's hidden states that are kept between entries.
    private static let keptBytes = 1 << 30

    /// - Parameter progress: throwing from it ends the run between two steps; it can be continued.
    package func run(progress: Progress) throws -> Result {
        let compressor = try MethodCompressor(
            source, calibration: calibration, seed: seed, oracle: oracle, on: device, cache: cache)
        let folder = try ComparisonFolder(
            output, source: compressor.fingerprint, common: try commonSettings(compressor.moments))
        let tasks = methods.flatMap { method in keeps.map { Task(method: method, keep: $0) } }
        // Before any work: what is there must go with what will be.
        _ = try folder.entries(but: overwrite ? Set(tasks.map(\.name)) : [])

        var pending = tasks.filter { overwrite || !folder.contains($0.name) }
        try compressor.prepare(pending.map(\.method), progress)
        var skipped: [Skipped] = []
        var reference: ReferenceModel?
        for isWaiting in [false, true] {
            var left: [Task] = []
            for task in pending {
                let wasRun = try folder.withLock(task.name, waiting: isWaiting) {
                    // Another process may have done it by now.
                    if isWaiting || !overwrite, folder.contains(task.name) { return }
                    do {
                        let proposal = try compressor.propose(task.method, keep: task.keep)
                        let dense =
                            try reference
                            ?? evaluation(of: source)
                            .loadReference(source, keptBytes: Self.keptBytes)
                        reference = dense
                        try folder.write(
                            try measure(
                                task, proposal, by: compressor, in: folder, dense, progress))
                    } catch let error where Self.isNothing(error) {
                        skipped.append(
                            Skipped(
                                method: task.method.rawValue, keep: task.keep, reason: "\(error)"))
                    }
                }
                if !wasRun { left.append(task) }
            }
            pending = left
        }
        folder.finish()
        return Result(entries: try folder.entries(), skipped: skipped)
    }

    /// Whether a method merely has nothing for a budget, which is an outcome and no fault.
    private static func isNothing(_ error: any Error) -> Bool {
        switch error {
        case CompressError.nothingFits, PlanError.tooSmall, CompareError.noOracle: true
        default: false
        }
    }

    // MARK: One entry

    private func measure(
        _ task: Task, _ proposal: MethodPlanner.Proposal, by compressor: MethodCompressor,
        in folder: ComparisonFolder, _ dense: ReferenceModel, _ progress: Progress
    ) throws -> ComparisonEntry {
        var settings = folder.common
        settings["plan"] = .object(proposal.plan.settings)
        settings["fit"] = .object(proposal.fit.description)
        let label = "\(task.method.rawValue) \(task.keep)"
        let compressed = try folder.workPath(task.name, settings)
        // What a killed run left complete was not measured, nor is its time known.
        let report = try compressor.compress(proposal, to: compressed, overwrite: true) {
            try progress("\(label), compress", $0, $1, $2)
        }
        var evaluation = evaluation(of: compressed)
        evaluation.referenceModel = dense
        let found = try evaluation.run { text, windows, note in
            try progress("\(label), \(Self.name(of: text))", windows, textWindows, note)
        }
        try FileManager.default.removeItem(atPath: compressed)
        return ComparisonEntry(
            source: folder.source, model: Self.name(of: source), method: task.method.rawValue,
            keep: task.keep, settings: settings,
            linearParametersBefore: report.linearParametersBefore,
            linearParametersAfter: report.linearParametersAfter, bytesBefore: report.bytesBefore,
            bytesAfter: report.bytesAfter, predictedKL: proposal.predictedKL,
            compressSeconds: report.seconds, texts: found.texts.map(Self.entry))
    }

    private static func entry(_ text: EvaluationReport.Text) -> ComparisonEntry.Text {
        // A ruined model's perplexity may exceed all bounds.
        func finite(_ value: Double?) -> Double {
            guard let value, value.isFinite else { return .greatestFiniteMagnitude }
            return value
        }
        return ComparisonEntry.Text(
            file: name(of: text.file), tokens: text.tokens,
            densePerplexity: finite(text.referencePerplexity),
            perplexity: finite(text.perplexity), klMean: finite(text.klMean),
            top1Agreement: text.top1Agreement ?? 0)
    }

    private func evaluation(of folder: String) -> EvaluateStage {
        var stage = EvaluateStage(model: folder, texts: texts)
        (stage.window, stage.stride, stage.windowLimit) = (textWindow, textWindow, textWindows)
        stage.device = device
        return stage
    }

    // MARK: Settings

    /// What entries of one folder have in common. Whole numbers and texts only, which files keep exactly.
    private func commonSettings(_ moments: MomentCache) throws -> [String: JSONValue] {
        guard !texts.isEmpty else { throw CompareError.noTexts }
        var files: [String: JSONValue] = [:]
        for text in texts {
            let name = Self.name(of: text)
            let contents = try Data(contentsOf: URL(fileURLWithPath: text), options: .alwaysMapped)
            let hash = Fingerprint(hashing: [Array(contents)]).hex.prefix(16)
            guard files.updateValue(.string(String(hash)), forKey: name) == nil else {
                throw CompareError.sameName(name)
            }
        }
        return [
            "calibration": .object([
                "moments": .string(Self.name(of: moments.folder)),
                "windows": .integer(calibration.count),
                "tokens": .integer(calibration.reduce(0) { $0 + $1.count }),
            ]),
            "evaluation": .object([
                "texts": .object(files), "window": .integer(textWindow),
                "windows": textWindows.map { .integer($0) } ?? .string("all"),
            ]),
        ]
    }

    private static func name(of path: String) -> String {
        URL(fileURLWithPath: path).lastPathComponent
    }
}
