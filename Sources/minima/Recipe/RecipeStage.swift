import Foundation

/// The stages of a run, in order.
enum RecipeStage: String, CaseIterable, Encodable {
    case analyze, plan, compress, heal, evaluate, report

    /// The parts of the recipe that its settings stand in, its own first.
    var parts: [RecipePart] {
        switch self {
        case .analyze: [.analyze, .calibration]
        case .plan: [.plan]
        case .compress: [.compress, .calibration]
        case .heal: [.heal]
        case .evaluate: [.evaluate]
        case .report: [.report]
        }
    }
}

/// Where a run puts what it makes.
struct RunPlaces {
    let folder: String

    var journal: String { path("run.json") }
    var lock: String { path(".lock") }
    var sensitivity: String { path("sensitivity.json") }
    var plan: String { path("plan.json") }
    var compressed: String { path("compressed") }
    /// What the compression did.
    var compression: String { path("compression.json") }
    var healed: String { path("healed") }
    var training: String { path("healed/heal.json") }
    var evaluation: String { path("evaluation.json") }
    var report: String { path("report.html") }

    /// What a stage makes.
    func results(of stage: RecipeStage) -> [String] {
        switch stage {
        case .analyze: [sensitivity]
        case .plan: [plan]
        case .compress: [compressed, compression]
        case .heal: [healed]
        case .evaluate: [evaluation]
        case .report: [report]
        }
    }

    /// The folder of what a stage has done while it is not finished.
    static func unfinished(_ result: String) -> String { result + ".run" }

    func name(_ path: String) -> String { (path as NSString).lastPathComponent }

    private func path(_ name: String) -> String { "\(folder)/\(name)" }
}

/// Something that a stage reads, as people know it, and where it is.
struct StageInput {
    let name: String
    let paths: [String]

    init(_ name: String, _ paths: [String]) { (self.name, self.paths) = (name, paths) }
}

extension Recipe {
    var stages: [RecipeStage] { RecipeStage.allCases.filter { $0 != .heal || heals } }

    /// The models that are evaluated, by name.
    func evaluated(in places: RunPlaces) -> [(name: String, path: String)] {
        [("compressed", places.compressed)] + (heals ? [("healed", places.healed)] : [])
    }

    /// What a stage reads beside its settings.
    func inputs(of stage: RecipeStage, in places: RunPlaces) -> [StageInput] {
        let dense = StageInput("model", model.words)
        let map = StageInput("sensitivity map", [places.sensitivity])
        let plan = StageInput("plan", [places.plan])
        var inputs: [StageInput]
        switch stage {
        case .analyze: inputs = [dense]
        case .plan: inputs = needsModel ? [dense, map] : [map]
        case .compress: inputs = [dense, plan]
        case .heal: inputs = [dense, StageInput("compressed model", [places.compressed])]
        case .evaluate:
            let models = evaluated(in: places)
            inputs = [dense] + models.map { StageInput("\($0.name) model", [$0.path]) }
        case .report:
            inputs = [
                map, plan, StageInput("compression report", [places.compression]),
                StageInput("evaluation", [places.evaluation]),
            ]
            if heals { inputs.append(StageInput("training report", [places.training])) }
        }
        for part in stage.parts {
            for value in values(part) where value.isPath {
                inputs.append(StageInput("\(part.rawValue).\(value.key.name)", value.words))
            }
        }
        return inputs
    }

    /// What a stage is told beside its inputs, by key.
    func settings(of stage: RecipeStage) -> [String: String] {
        var settings: [String: String] = [:]
        for part in stage.parts {
            // How often a training is saved changes nothing about what comes of it.
            for value in values(part) where !value.isPath && value.key.name != "save-every" {
                settings["\(part.rawValue).\(value.key.name)"] = value.words.joined(separator: " ")
            }
        }
        return settings
    }

    /// Whether the planner counts what is not planned: bytes of the checkpoint, a decode step.
    private var needsModel: Bool {
        ["bytes", "vram", "kernel-times"].contains { self[.plan, $0] != nil }
    }

    /// A stage's command as one would type it, without what says where to compute and what to replace.
    /// - Parameter evaluated: the model that is evaluated.
    func arguments(
        of stage: RecipeStage, in places: RunPlaces, evaluating evaluated: String? = nil
    ) -> [String] {
        let model = model.words[0]
        switch stage {
        case .analyze:
            return [model] + arguments(.calibration, .analyze) + ["--output", places.sensitivity]
        case .plan:
            return [places.sensitivity] + arguments(.plan)
                + (needsModel ? ["--model", model] : []) + ["--output", places.plan]
        case .compress:
            return [model, "--plan", places.plan] + arguments(.calibration, .compress)
                + ["--output", places.compressed]
        case .heal:
            return [places.compressed] + (needsTeacher ? ["--teacher", model] : [])
                + arguments(.heal) + ["--output", places.healed]
        case .evaluate:
            return [evaluated ?? places.compressed, "--reference", model] + arguments(.evaluate)
        case .report:
            return [
                "--sensitivity", places.sensitivity, "--plan", places.plan, "--compression",
                places.compression, "--evaluation", places.evaluation,
            ] + (heals ? ["--heal", places.training] : []) + arguments(.report)
                + ["--output", places.report]
        }
    }

    /// A training that looks at nothing of the dense model's need not hold it in memory.
    private var needsTeacher: Bool {
        let kl = self[.heal, "kl"].flatMap { Double($0.words[0]) } ?? 1
        let hidden = self[.heal, "hidden"].flatMap { Double($0.words[0]) } ?? 0
        return kl != 0 || hidden != 0
    }
}
