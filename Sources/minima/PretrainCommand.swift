import ArgumentParser
import Artifacts
import Foundation
import Heal

struct PretrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pretrain",
        abstract: "Train a small model from random weights.",
        discussion: """
            The model is what config.json describes, with weights drawn at random; it learns to predict the \
            next token of the text. The result is a Hugging Face folder. A run that is killed is continued \
            by the same command; several processes train together as in minima heal. This is how a model like \
            the one that ships is made.

              minima pretrain --config Models/tiny/config.json --tokenizer Models/tiny --corpus text.txt.xz \
            --tokens 300M --output my-tiny
            """)

    @Option(help: "The model's config.json.", completion: .file())
    var config: String

    @Option(help: "Folder that holds the tokenizer.", completion: .directory)
    var tokenizer: String

    @Option(help: "Largest learning rate.")
    var learningRate = PretrainStage.usualSettings.learningRate

    @Option(help: "Weight decay of matrices.")
    var weightDecay = PretrainStage.usualSettings.weightDecay

    @OptionGroup var training: TrainingOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func validate() throws {
        guard learningRate > 0, learningRate.isFinite else {
            throw ValidationError("--learning-rate must be above 0")
        }
        guard weightDecay >= 0, weightDecay.isFinite else {
            throw ValidationError("--weight-decay must be 0 or more")
        }
    }

    func run() throws {
        let (processes, device) = try training.meet(compute)
        var settings = PretrainStage.usualSettings
        training.apply(to: &settings)
        settings.learningRate = learningRate
        settings.weightDecay = weightDecay
        var stage = PretrainStage(
            configuration: config, tokenizer: tokenizer, settings: settings,
            place: training.place(on: device))
        stage.processes = processes
        let shown = TrainingDisplay(
            "pretrain", isQuiet: result.quiet || result.json, of: processes)
        let report = try stage.run { try shown.tell($0) }
        shown.finish()
        guard processes.leads else { return }
        if result.json { try result.printJSON(report) } else { print(report.table) }
    }
}
