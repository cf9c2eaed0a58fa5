// Where each row's checkpoint is; made when it is wanted first, and found again by a later run.
import Artifacts
import Compare
import Heal
import Speculate
import Tensors

struct AblationModels {
    private let stage: AblationStage
    private let folder: AblationFolder
    private let tell: AblationStage.Tell

    init(_ stage: AblationStage, _ folder: AblationFolder, _ tell: @escaping AblationStage.Tell) {
        (self.stage, self.folder, self.tell) = (stage, folder, tell)
    }

    /// - Returns: the folder of the row's checkpoint.
    func checkpoint(of row: AblationRow) throws -> String {
        switch row {
        case .dense, .denseKernels: stage.source
        case .uniform, .sensitivity, .mixedFormats: try compressed(row)
        case .healing, .kernels, .speculation: try healed()
        }
    }

    private func compressed(_ row: AblationRow) throws -> String {
        guard let method = row.method else {
            preconditionFailure("\(row) is not a step of compression")
        }
        return try folder.model(row.rawValue) { output in
            let compressor = try MethodCompressor(
                stage.source, calibration: stage.calibration, seed: stage.seed, on: stage.device)
            if folder.contains(folder.map) {
                compressor.map = try SensitivityMap.read(folder.map)
            }
            try compressor.prepare([method]) { task, done, total, note in
                try tell(.step(task: task, done: done, total: total, note: note))
            }
            if let map = compressor.map, !folder.contains(folder.map) { try map.write(folder.map) }
            try compressor.compress(by: method, keep: stage.keep, to: output) { done, total, note in
                try tell(
                    .step(
                        task: "\(row.rawValue), compress", done: done, total: total, note: note))
            }
        }
    }

    private func healed() throws -> String {
        let compressed = try compressed(.mixedFormats)
        return try folder.model("healed") { output in
            _ = try HealStage(
                model: compressed, teacher: stage.source, settings: stage.healing,
                place: place(output)
            ).run { [tell] in try tell(.training(task: "healing", $0)) }
        }
    }

    /// The draft that is given, or one that is trained to guess what the healed model says.
    func draft() throws -> String {
        if let draft = stage.draft { return draft }
        let healed = try healed()
        return try folder.model("draft") { output in
            _ = try DraftStage(
                model: healed, options: stage.draftOptions, settings: stage.drafting,
                place: place(output)
            ).run { [tell] in try tell(.training(task: "draft", $0)) }
        }
    }

    private func place(_ output: String) -> TrainingPlace {
        var place = TrainingPlace(corpus: stage.corpus, output: output)
        place.device = stage.device
        return place
    }
}
