// What healing and pretraining have in common: text, batches, the loop, its run on disk, measurements before
// and after, and the folder that comes of it.
import Artifacts
import Foundation
import Tensors
import Text

/// Where a training reads, writes and computes.
package struct TrainingPlace: Sendable {
    /// Files of text.
    package var corpus: [String]
    /// Prompts and answers, JSON lines.
    package var tasks: String?
    /// Files of text that is measured on before and after.
    package var evaluation: [String] = []
    package var allowsOverlap = false
    package var output: String
    package var overwrite = false
    package var restart = false
    package var saving = TrainingSaving()
    package var device = Device.cpu
    package var cache = CacheFolder.root

    package init(corpus: [String], output: String) {
        self.corpus = corpus
        self.output = output
    }
}

/// What is told while a training runs.
package enum TrainingEvent: Sendable {
    /// Bytes of a text that are encoded.
    case encoding(file: String, bytes: Int)
    /// Windows that are searched for the evaluation text.
    case searching(windows: Int, of: Int)
    /// Windows whose predictions by the teacher are kept.
    case observing(windows: Int, of: Int)
    case measuring(String)
    /// Windows whose ends the model has written, of all that it is to write.
    case writing(windows: Int, of: Int, tokensPerSecond: Double)
    case note(String)
    case step(TrainingProgress)
}

struct TrainingStage {
    let settings: TrainingSettings
    let place: TrainingPlace
    let configuration: ModelConfiguration
    /// Folder of the tokenizer.
    let tokenizer: String
    /// What the run must agree in beside the settings.
    let identity: [String: JSONValue]
    let processes: ProcessGroup
    let tell: (TrainingEvent) throws -> Void

    /// What a training is made of, once its settings are known to make sense.
    struct Parts {
        let masters: MasterWeights
        /// Made when it is needed: where its predictions are on disk it is not.
        let teacher: (() throws -> Teacher)?
        let checkpoint: TrainedCheckpoint
        /// Where tensors that do not train are copied from.
        let original: Checkpoint?
    }

    /// Where the result came from, as the report says it.
    struct Origin {
        let source: Fingerprint?
        let model: String
        let teacher: String?
    }

    func run(_ origin: Origin, parts make: () throws -> Parts) throws -> HealReport {
        try check()
        let encoder = try Tokenizer(path: tokenizer)
        guard encoder.vocabularySize <= configuration.vocabularySize else {
            throw HealError.vocabulary(
                tokenizer: encoder.vocabularySize, model: configuration.vocabularySize)
        }
        var (journal, windows) = (settings.journal, try self.windows(encoder))
        let tasks = try place.tasks.map {
            try TaskExamples($0, encoder, length: settings.window)
        }
        if let tasks, tasks.skipped > 0 {
            try tell(
                .note("\(tasks.skipped) of \(tasks.count) examples are longer than a window"))
        }
        journal.merge(identity) { _, new in new }
        journal["corpus"] = .string(
            try place.corpus.map { try Fingerprint(ofFile: $0).hex }.joined(separator: " "))
        if let tasks { journal["tasks"] = .string(tasks.fingerprint.hex) }
        try agree(journal)
        let folder = try processes.lead {
            let isOurs =
                try !place.restart && RunFolder.isOpen(for: place.output, journal: journal)
            return try OutputFolder(place.output, overwrite: place.overwrite || isOurs)
        }
        let held = try place.evaluation.map { try HeldOutText($0, encoder) }
        let overlap = try overlap(held, &windows)

        let run =
            try processes.lead {
                try folder.map {
                    try RunFolder(for: $0.path, journal: journal, restart: place.restart)
                }
            } ?? nil
        let parts = try make()
        let memory = TrainingMemory(
            configuration, settings, type: Trainer.computeType(on: place.device),
            processes: processes.size, on: place.device)
        var source = BatchSource(
            text: windows, tasks: tasks, settings: settings, windowsAtOnce: memory.windowsAtOnce,
            share: (processes.rank, processes.size), on: place.device)
        source.cache = try cachedTeacher(parts, source, origin)
        let trainer = try Trainer(
            parts.masters, teacher: source.cache == nil ? try parts.teacher?() : nil,
            settings: settings, checkpointsBlocks: memory.checkpointsBlocks, with: processes,
            on: place.device)
        let before = try measurementsBefore(held, trainer, source, in: run)
        var loop = TrainingLoop(
            trainer, source,
            states: run.map { TrainingStates(folder: $0.path) }, saving: place.saving,
            processes: processes)
        let result = try loop.run(tell: tell)
        try parts.checkpoint.round()
        let after = try measurements(held, trainer, source)
        let report = try report(
            result, origin, trainer, memory, overlap: overlap,
            evaluations: zip(before, after).map { Self.evaluation($0, $1, trainer.hasTeacher) })
        try processes.lead {
            guard let folder else { return }
            try folder.replace {
                try parts.checkpoint.write(
                    to: folder.path, report: try StrictJSON.encode(report),
                    original: parts.original)
            }
            try RunFolder.end(for: folder.path)
        }
        try processes.close()
        return report
    }

    /// Refuses settings, models and texts that are not those of process 0.
    private func agree(_ journal: [String: JSONValue]) throws {
        var mine = journal
        let texts = try place.evaluation.map { try Fingerprint(ofFile: $0).hex }
        mine["evaluation"] = .string(texts.joined(separator: " "))
        mine["device"] = .string(place.device == .cpu ? "cpu" : "cuda")
        let bytes = try processes.shared(try StrictJSON.encode(mine))
        let theirs = try StrictJSON.decode(
            [String: JSONValue].self, from: bytes, of: "the settings of process 0")
        for key in Set(mine.keys).union(theirs.keys).sorted() where mine[key] != theirs[key] {
            throw ProcessGroupError.differs(what: key)
        }
    }

    private func check() throws {
        let weights = settings.weights
        guard
            weights.nextToken > 0 || weights.needsTeacher
                || (weights.task > 0 && place.tasks != nil)
        else { throw HealError.nothingToLearn }
        guard settings.window <= configuration.maxPositions else {
            throw HealError.window(settings.window, positions: configuration.maxPositions)
        }
    }

    /// The teacher's predictions on disk, made where they are not there yet.
    private func cachedTeacher(
        _ parts: Parts, _ source: BatchSource, _ origin: Origin
    ) throws -> TeacherCache? {
        guard settings.teacherCount > 0, let make = parts.teacher, let teacher = origin.source
        else { return nil }
        guard settings.teacherCount < configuration.vocabularySize, settings.weights.hidden == 0
        else { throw HealError.teacherCache(vocabulary: configuration.vocabularySize) }
        let texts = try place.corpus.map { try Fingerprint(ofFile: $0).hex }
        let cache = try TeacherCache(
            in: place.cache,
            key: [
                teacher.hex, "\(settings.seed)", Trainer.computeType(on: place.device).rawValue,
                try TokenFile.identity(ofTokenizer: tokenizer).hex,
            ] + texts, count: settings.teacherCount, length: settings.window)
        let positions = settings.steps * settings.windowsPerStep
        var order = source
        try cache.fill(positions, make, with: processes, input: { try order.ids(at: $0) }) {
            try tell(.observing(windows: $0, of: $1))
        }
        return cache
    }

    // MARK: Text

    private func windows(_ encoder: Tokenizer) throws -> TrainingWindows {
        try TrainingWindows(
            place.corpus, encoder, folder: tokenizer, length: settings.window, cache: place.cache,
            tell: tell)
    }

    private func overlap(
        _ held: [HeldOutText], _ windows: inout TrainingWindows
    ) throws -> HealReport.Overlap? {
        guard !held.isEmpty else { return nil }
        let found = try Contamination(evaluation: held.map(\.tokens), windows: windows) {
            try tell(.searching(windows: $0, of: windows.count))
        }
        guard place.allowsOverlap || found.evaluationShare <= Contamination.limit else {
            throw HealError.overlap(share: found.evaluationShare, files: place.evaluation)
        }
        return HealReport.Overlap(
            evaluationShare: found.evaluationShare, windowShare: found.windowShare)
    }

    // MARK: Measurements

    /// Of one held-out text.
    struct Measurement: Codable {
        let file: String
        let loss: Double
        let divergence: Double
        let tokens: Int
    }

    private func measurements(
        _ held: [HeldOutText], _ trainer: Trainer, _ source: BatchSource
    ) throws -> [Measurement] {
        try held.map { text in
            try tell(.measuring(text.file))
            let found = try text.measure(trainer, source, window: settings.window)
            return Measurement(
                file: text.file, loss: found.loss, divergence: found.divergence,
                tokens: found.tokens)
        }
    }

    /// Those of the model as it came, made once in a run.
    private func measurementsBefore(
        _ held: [HeldOutText], _ trainer: Trainer, _ source: BatchSource, in run: RunFolder?
    ) throws -> [Measurement] {
        let path = "\(run?.path ?? "")/before.json"
        let bytes = try processes.shared(
            run == nil ? [] : FileManager.default.contents(atPath: path).map { Array($0) } ?? [])
        if !bytes.isEmpty {
            let kept = try StrictJSON.decode([Measurement].self, from: bytes, of: path)
            // Names may differ between hosts; that the texts are the same is known.
            if !processes.leads || kept.map(\.file) == held.map(\.file) { return kept }
            throw RunFolderError.otherRun(
                folder: run?.path ?? "", difference: "evaluation text")
        }
        let found = try measurements(held, trainer, source)
        try processes.lead { try AtomicFile.write(StrictJSON.encode(found), to: path) }
        return found
    }

    private static func evaluation(
        _ before: Measurement, _ after: Measurement, _ hasTeacher: Bool
    ) -> HealReport.Evaluation {
        HealReport.Evaluation(
            file: (before.file as NSString).lastPathComponent, tokens: before.tokens,
            lossBefore: before.loss, lossAfter: after.loss,
            divergenceBefore: hasTeacher ? before.divergence : nil,
            divergenceAfter: hasTeacher ? after.divergence : nil)
    }

    private func report(
        _ result: TrainingLoop.Result, _ origin: Origin, _ trainer: Trainer,
        _ memory: TrainingMemory, overlap: HealReport.Overlap?,
        evaluations: [HealReport.Evaluation]
    ) throws -> HealReport {
        let tokens = result.curve.last?.tokens ?? 0
        // Where this run made but one step, the mean over all of them.
        let speed =
            result.measured.seconds > 0
            ? Double(result.measured.tokens) / result.measured.seconds
            : Double(tokens) / max(result.seconds, 1e-9)
        let operations = TrainingSpeed.operationsPerToken(configuration, window: settings.window)
        return HealReport(
            source: origin.source, model: origin.model, teacher: origin.teacher,
            output: place.output, settings: settings.journal,
            device: place.device.description, computeType: trainer.computeType.rawValue,
            checkpointsBlocks: memory.checkpointsBlocks,
            microBatchTokens: memory.windowsAtOnce * settings.window,
            trainedParameters: trainer.masters.trained.reduce(0) { $0 + $1.tensor.count },
            tokens: tokens, steps: result.curve.count, seconds: result.seconds,
            tokensPerSecond: speed,
            modelFlopsUtilisation: TrainingSpeed.peak(of: place.device)
                .map { speed * operations / ($0 * Double(processes.size)) },
            peakMemoryBytes: try TorchRuntime.peakMemory(on: place.device),
            processes: processes.size, overlap: overlap,
            evaluations: evaluations, curve: result.curve)
    }
}
