import ArgumentParser
import Artifacts
import Foundation
import Heal
import Tensors

struct HealCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heal",
        abstract: "Recover a compressed model's quality by a short training.",
        discussion: """
            Every factor, norm and bias of the compressed model is trained, with its ranks as they are, to \
            predict what the dense model predicts (--kl), the text itself (--next-token), or both. The result \
            is a checkpoint of the same layout. A run that is killed is continued by the same command, and \
            on a CPU ends with the same weights. A dense model can be trained alike, as a control: then the \
            teacher may be left out.

              minima heal tiny-50 --teacher Models/tiny --corpus text.txt.xz --tokens 5M --output tiny-50-healed
              minima heal Models/tiny --corpus text.txt.xz --kl 0 --next-token 1 --output control

            Several processes, one per GPU, share the batch of every step and end with the losses and weights of one: \
            started by torchrun, srun or mpirun, or by hand with RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and \
            MASTER_PORT set (srun and mpirun want the last two set too). All need the model and the texts; the first \
            alone writes and tells. Where one of them dies, or is not heard of for --peer-timeout seconds, all end \
            with status 1, and the same command goes on from the last state kept, with any number of processes.

              torchrun --no-python --nproc-per-node 2 minima heal tiny-50 --teacher Models/tiny --corpus \
            text.txt.xz --output tiny-50-healed

            Tokens of the text are kept in $MINIMA_CACHE (default ~/.cache/minima) for the next run.
            """)

    @Argument(help: "Folder of the model to train.", completion: .directory)
    var model: String

    @Option(help: "Folder of the dense model that it was compressed from.", completion: .directory)
    var teacher: String?

    @Option(help: "Weight of the loss of predicting the next token.")
    var nextToken = LossWeights().nextToken

    @Option(help: "Weight of the KL divergence from the teacher's predictions.")
    var kl = LossWeights().divergence

    @Option(help: "Weight of the distance from the teacher's hidden states after every block.")
    var hidden = LossWeights().hidden

    @Option(
        help: "JSON lines of {\"prompt\", \"answer\"}, mixed in; only answers are learnt.",
        completion: .file())
    var tasks: String?

    @Option(help: "Weight of the loss of predicting the tasks' answers.")
    var task = LossWeights().task

    @Option(
        help:
            "Keep this many of the teacher's likeliest tokens on disk for every token of the text (64, say), so that the teacher is in no memory while the model trains; 0: run it beside the model."
    )
    var teacherCache = TrainingSettings().teacherCount

    @Option(help: "Largest learning rate.")
    var learningRate = TrainingSettings().learningRate

    @Option(help: "Weight decay of matrices and cores.")
    var weightDecay = TrainingSettings().weightDecay

    @Flag(help: "Train the embedding and the head too.")
    var trainEmbeddings = false

    @OptionGroup var training: TrainingOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        for (name, weight) in [
            ("next-token", nextToken), ("kl", kl), ("hidden", hidden), ("task", task),
            ("weight-decay", weightDecay),
        ] where !(weight >= 0 && weight.isFinite) {
            throw ValidationError("--\(name) must be 0 or more")
        }
        guard learningRate > 0, learningRate.isFinite else {
            throw ValidationError("--learning-rate must be above 0")
        }
        guard teacherCache >= 0 else {
            throw ValidationError("--teacher-cache must be 0 or more")
        }
    }

    func run() throws {
        let (processes, device) = try training.meet(compute)
        let report = try made(processes, device)
        guard processes.leads else { return }
        if result.json { try result.printJSON(report) } else { print(report.table) }
    }

    /// Trains alone, or goes on with it.
    func made() throws -> HealReport { try made(ProcessGroup(), compute.resolve()) }

    private func made(_ processes: ProcessGroup, _ device: Device) throws -> HealReport {
        var settings = TrainingSettings()
        training.apply(to: &settings)
        settings.weights = LossWeights(
            nextToken: nextToken, divergence: kl, hidden: hidden, task: task)
        settings.learningRate = learningRate
        settings.weightDecay = weightDecay
        settings.trainsEmbeddings = trainEmbeddings
        settings.teacherCount = teacherCache
        var place = training.place(on: device)
        place.tasks = tasks
        var stage = HealStage(model: model, teacher: teacher, settings: settings, place: place)
        stage.processes = processes
        let shown = TrainingDisplay(
            "heal", isQuiet: result.quiet || result.json, of: processes)
        let report = try stage.run { try shown.tell($0) }
        shown.finish()
        return report
    }
}
