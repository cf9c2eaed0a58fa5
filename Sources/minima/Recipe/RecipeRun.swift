import ArgumentParser
import Artifacts
import Foundation
import Tensors

/// Runs a recipe's stages, each only where its result is not there yet.
struct RecipeRun {
    let recipe: Recipe
    let places: RunPlaces
    /// What says where to compute, as options.
    let compute: [String]
    let isQuiet: Bool
    private let fingerprints = InputFingerprints()

    /// What became of a stage.
    struct Outcome: Encodable {
        let stage: RecipeStage
        let isMade: Bool
        let seconds: Double
        let results: [String]

        private enum CodingKeys: String, CodingKey {
            case stage, seconds, results
            case isMade = "made"
        }
    }

    init(_ recipe: Recipe, in places: RunPlaces, compute: [String], isQuiet: Bool) throws {
        (self.recipe, self.places, self.compute, self.isQuiet) = (recipe, places, compute, isQuiet)
        // Whatever the commands have against their options is said before the first of them begins.
        for stage in recipe.stages { try check(stage) }
    }

    // MARK: Before a run

    /// Every stage with what would be done about it.
    func states() throws -> [(stage: RecipeStage, state: StageState)] {
        try comparison(journal()).all()
    }

    /// The command lines that do the same as a stage.
    func lines(of stage: RecipeStage) -> [String] {
        argumentLists(of: stage).map { arguments in
            "minima \(stage.rawValue) "
                + arguments.map { $0.contains(" ") ? "'\($0)'" : $0 }.joined(separator: " ")
        }
    }

    private func journal() throws -> RunJournal {
        FileManager.default.fileExists(atPath: places.journal)
            ? try RunJournal.read(places.journal) : RunJournal()
    }

    private func comparison(_ journal: RunJournal) -> RunStates {
        RunStates(recipe: recipe, places: places, journal: journal, fingerprints: fingerprints)
    }

    // MARK: Running

    /// - Parameter finished: called after every stage.
    func run(overwrite: Bool, finished: (Outcome) throws -> Void) throws -> [Outcome] {
        try FileManager.default.createDirectory(
            atPath: places.folder, withIntermediateDirectories: true)
        guard let lock = try FileLock.attempt(places.lock) else {
            throw RunError.inUse(folder: places.folder)
        }
        defer { withExtendedLifetime(lock) {} }
        var journal = try journal()
        let states = try comparison(journal).all()
        try makeRoom(states, &journal, overwrite: overwrite)
        return try states.map { stage, state in
            let outcome: Outcome
            if case .kept(let seconds) = state {
                outcome = self.outcome(of: stage, isMade: false, seconds)
            } else {
                outcome = try make(stage, &journal)
            }
            try finished(outcome)
            return outcome
        }
    }

    /// Removes what is made again, with the user's consent. The last stage's goes first: a run that is killed
    /// meanwhile leaves nothing without what it was made of.
    private func makeRoom(
        _ states: [(stage: RecipeStage, state: StageState)], _ journal: inout RunJournal,
        overwrite: Bool
    ) throws {
        let lost = comparison(journal).lost(states)
        guard let cause = states.first(where: { if case .kept = $0.state { false } else { true } }),
            !lost.isEmpty
        else { return }
        guard overwrite else {
            throw RunError.wouldReplace(
                folder: places.folder, stage: cause.stage, state: cause.state,
                lost: lost.map(places.name))
        }
        for (stage, state) in states.reversed() {
            if case .kept = state { continue }
            for path in places.results(of: stage) { try remove(path) }
            journal[stage] = nil
        }
        try journal.write(places.journal)
    }

    /// A result, and what an unfinished stage has of it. Under another name first: what is half removed must not
    /// be taken for a result.
    private func remove(_ path: String) throws {
        fingerprints.forget(path)
        try RunFolder.end(for: path)
        let files = FileManager.default
        let removed = "\(places.folder)/.removed"
        if files.fileExists(atPath: removed) { try files.removeItem(atPath: removed) }
        guard files.fileExists(atPath: path) else { return }
        try files.moveItem(atPath: path, toPath: removed)
        try files.removeItem(atPath: removed)
    }

    private func make(_ stage: RecipeStage, _ journal: inout RunJournal) throws -> Outcome {
        let comparison = comparison(journal)
        let identity = try comparison.identity(of: stage)
        let start = Date()
        // Begun with this identity, nothing but this stage can have put a result in place since.
        let isOurs = journal[stage]?.identity == identity && comparison.isComplete(stage)
        if isOurs {
            for path in places.results(of: stage) { try RunFolder.end(for: path) }
        } else {
            journal[stage] = RunJournal.Entry(identity: identity)
            try journal.write(places.journal)
            try carryOut(stage)
            // The next stage finds as much memory as a process of its own would.
            TorchRuntime.releaseUnusedMemory()
        }
        let seconds = Date().timeIntervalSince(start)
        journal[stage] = RunJournal.Entry(
            identity: identity, results: try comparison.results(of: stage), seconds: seconds)
        try journal.write(places.journal)
        return outcome(of: stage, isMade: true, seconds)
    }

    private func outcome(
        of stage: RecipeStage, isMade: Bool, _ seconds: Double
    ) -> Outcome {
        Outcome(
            stage: stage, isMade: isMade, seconds: seconds, results: places.results(of: stage))
    }

    /// Runs a stage's command in this process. What it replaces is what a killed run of the same stage left.
    private func carryOut(_ stage: RecipeStage) throws {
        switch stage {
        case .analyze: _ = try command(AnalyzeCommand.self, stage).made()
        case .plan: _ = try command(PlanCommand.self, stage).made()
        case .compress:
            let report = try command(CompressCommand.self, stage).made()
            try report.write(places.compression)
        case .heal: _ = try command(HealCommand.self, stage).made()
        case .evaluate: try evaluate()
        case .report: _ = try command(ReportCommand.self, stage).made()
        }
    }

    /// Model by model; those that are measured already stay in the folder of the unfinished evaluation.
    private func evaluate() throws {
        let identity = try comparison(RunJournal()).identity(of: .evaluate)
        let hash = Fingerprint(hashing: [try StrictJSON.encode(identity)])
        let unfinished = try RunFolder(
            for: places.evaluation, journal: ["identity": .string(hash.hex)], restart: false)
        var models: [RunEvaluation.Model] = []
        let source = try CompressionReport.read(places.compression).fingerprint
        for (name, path) in recipe.evaluated(in: places) {
            let kept = "\(unfinished.path)/\(name).json"
            if FileManager.default.fileExists(atPath: kept) {
                models += try RunEvaluation(reading: kept).models
                continue
            }
            let arguments = recipe.arguments(of: .evaluate, in: places, evaluating: path)
            var command = try parse(EvaluateCommand.self, arguments + compute + quietly, .evaluate)
            if !command.benchmark.tasks.isEmpty {
                let items = "\(unfinished.path)/\(name)-items.jsonl"
                command.benchmark.items = items
                // All items are there, but the process was killed before their sum was kept.
                command.benchmark.overwrite = FileManager.default.fileExists(atPath: items)
            }
            let measured = try command.made()
            let model = RunEvaluation.Model(
                name: name, perplexity: measured.perplexity, tasks: measured.tasks)
            try RunEvaluation(source: source, models: [model]).write(kept)
            models.append(model)
        }
        try RunEvaluation(source: source, models: models).write(places.evaluation)
        try RunFolder.end(for: places.evaluation)
    }

    // MARK: Commands

    private var quietly: [String] { isQuiet ? ["--quiet"] : [] }

    /// What a stage's commands are given, so that another process would do the same.
    private func argumentLists(of stage: RecipeStage) -> [[String]] {
        switch stage {
        case .analyze, .compress, .heal: [recipe.arguments(of: stage, in: places) + compute]
        case .plan, .report: [recipe.arguments(of: stage, in: places)]
        case .evaluate:
            recipe.evaluated(in: places).map {
                recipe.arguments(of: stage, in: places, evaluating: $0.path) + compute
            }
        }
    }

    private func command<Command: ParsableCommand>(
        _ type: Command.Type, _ stage: RecipeStage
    ) throws -> Command {
        try parse(type, argumentLists(of: stage)[0] + quietly + ["--overwrite"], stage)
    }

    /// Lets a stage's commands look at their options.
    private func check(_ stage: RecipeStage) throws {
        for arguments in argumentLists(of: stage) {
            switch stage {
            case .analyze: _ = try parse(AnalyzeCommand.self, arguments, stage)
            case .plan: _ = try parse(PlanCommand.self, arguments, stage)
            case .compress: _ = try parse(CompressCommand.self, arguments, stage)
            case .heal: _ = try parse(HealCommand.self, arguments, stage)
            case .evaluate: _ = try parse(EvaluateCommand.self, arguments, stage)
            case .report: _ = try parse(ReportCommand.self, arguments, stage)
            }
        }
    }

    private func parse<Command: ParsableCommand>(
        _ type: Command.Type, _ arguments: [String], _ stage: RecipeStage
    ) throws -> Command {
        do {
            return try type.parse(arguments)
        } catch {
            throw recipe.refusal(type.message(for: error), of: stage.parts)
        }
    }
}
