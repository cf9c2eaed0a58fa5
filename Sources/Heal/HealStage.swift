// compressed checkpoint + its teacher + text → the same checkpoint with better weights.
import Artifacts
import Models
import Tensors

package struct HealStage {
    package let model: String
    /// The dense checkpoint that `model` was compressed from.
    package var teacher: String?
    package var settings: TrainingSettings
    package var place: TrainingPlace
    /// Those that train together.
    package var processes = ProcessGroup()

    package init(
        model: String, teacher: String?, settings: TrainingSettings, place: TrainingPlace
    ) {
        self.model = model
        self.teacher = teacher
        self.settings = settings
        self.place = place
    }

    /// Trains, or goes on with a training that was ended early.
    /// - Parameter tell: throwing from it ends the run between two steps; it can be continued.
    package func run(tell: @escaping (TrainingEvent) throws -> Void) throws -> HealReport {
        TorchRuntime.keepFreedMemory()
        let configuration = try ModelConfiguration(folder: model)
        let checkpoint = try Checkpoint(model)
        try checkpoint.validate(against: configuration)
        guard checkpoint.manifest?.quantizedType == nil else { throw HealError.quantized(model) }
        let identity = try checkpoint.fingerprint()
        let source = checkpoint.manifest?.source ?? identity
        let dense = try openTeacher(source)
        let stage = TrainingStage(
            settings: settings, place: place, configuration: configuration, tokenizer: model,
            identity: [
                "model": .string(identity.hex),
                "teacher": .string(dense == nil ? "none" : source.hex),
            ], processes: processes, tell: tell)
        let origin = TrainingStage.Origin(source: source, model: model, teacher: teacher)
        return try stage.run(origin) {
            let masters = try MasterWeights(
                checkpoint, configuration, trainsEmbeddings: settings.trainsEmbeddings,
                on: place.device)
            let device = place.device
            return TrainingStage.Parts(
                masters: masters,
                teacher: dense.map { folder, dense in
                    {
                        Teacher(
                            try CausalLanguageModel(
                                dense, ModelConfiguration(folder: folder),
                                as: Trainer.computeType(on: device), on: device))
                    }
                },
                checkpoint: TrainedCheckpoint(masters, like: checkpoint), original: checkpoint)
        }
    }

    /// The teacher's checkpoint, which must be the one that the model was made from.
    private func openTeacher(
        _ source: Fingerprint
    ) throws -> (folder: String, checkpoint: Checkpoint)? {
        guard let teacher else {
            guard !settings.weights.needsTeacher else { throw HealError.teacherNeeded }
            return nil
        }
        let checkpoint = try Checkpoint(teacher)
        guard checkpoint.manifest == nil else { throw HealError.compressedTeacher(teacher) }
        let found = try checkpoint.fingerprint()
        guard found == source else {
            throw HealError.wrongTeacher(teacher: found, expected: source)
        }
        return (teacher, checkpoint)
    }
}
