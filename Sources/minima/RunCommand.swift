import ArgumentParser
import Artifacts
import Foundation
import Tensors

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Carry out a recipe: analyze, plan, compress, heal, evaluate, report.",
        discussion: """
            A recipe is a YAML file. Its keys are the options of the stages' commands; paths are relative to the \
            recipe's folder, and ~ is your home. Everything goes into one folder: sensitivity.json, plan.json, \
            compressed, compression.json, healed, evaluation.json, report.html, and run.json, which records what each \
            stage was made of. A stage runs only where its result is absent or was made of something else, and the \
            same command continues a run that was killed, in the middle of a stage too. Where settings have changed, \
            the first stage that they concern and all behind it are made again, with --overwrite.

              model: ../Models/tiny            # required
              output: tiny                     # or --output
              calibration:                     # text, windows, window, seed
                text: ../Examples/calibration.txt
              plan: {keep: 0.65}               # required; keep, bytes or vram
              compress: {refine: true}         # metric, anchor, one-sided, refine…
              heal:                            # left out: no healing
                corpus: corpus.txt.xz
                tokens: 5M
              evaluate:                        # required; text, tasks
                text: [../Examples/evaluation.txt]
              report: {draft: [tiny-draft]}    # left out: the run alone; draft, speculation, compare

              minima run runs/tiny.yaml --dry-run
              minima run runs/tiny.yaml --output /tmp/tiny
            """)

    @Argument(help: "Recipe to carry out.", completion: .file(extensions: ["yaml", "yml"]))
    var recipe: String

    @Option(
        name: .shortAndLong, help: "Folder to write. Default: what the recipe says.",
        completion: .directory)
    var output: String?

    @Flag(help: "Say what would run, and run nothing.")
    var dryRun = false

    @Flag(help: "Replace results that were made of other settings.")
    var overwrite = false

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var result: OutputOptions

    func run() throws {
        if try ProcessPlace.find(in: ProcessInfo.processInfo.environment) != nil {
            throw ValidationError(
                "a recipe is carried out by one process; --dry-run shows the minima heal command that several can run together"
            )
        }
        let recipe = try Recipe(self.recipe)
        guard let folder = output ?? recipe.output?.words[0] else {
            throw RecipeError.noOutput(file: recipe.file)
        }
        let places = RunPlaces(folder: URL(fileURLWithPath: folder).standardizedFileURL.path)
        let run = try RecipeRun(
            recipe, in: places, compute: compute.arguments, isQuiet: result.quiet || result.json)
        if dryRun { return try showStates(run) }
        _ = try compute.resolve()
        let outcomes = try run.run(overwrite: overwrite) { if !result.json { show($0, places) } }
        let evaluation = try RunEvaluation(reading: places.evaluation)
        if result.json {
            try result.printJSON(
                Summary(output: folder, stages: outcomes, evaluation: evaluation))
        } else {
            let compression = try CompressionReport.read(places.compression)
            print("\n" + evaluation.table(compression) + "\n\nwritten  \(places.report)")
        }
    }

    private func show(_ outcome: RecipeRun.Outcome, _ places: RunPlaces) {
        let words =
            outcome.isMade ? String(format: "made in %.1f s", outcome.seconds) : "is there"
        let names = outcome.results.map(places.name).joined(separator: ", ")
        print(
            outcome.stage.rawValue.padding(toLength: 10, withPad: " ", startingAt: 0)
                + names.padding(toLength: 30, withPad: " ", startingAt: 0) + words)
        // Whoever reads a log wants to see stages as they end.
        fflush(nil)
    }

    private func showStates(_ run: RecipeRun) throws {
        let stages = try run.states().map { stage, state in
            Planned(stage: stage, state: state.words, commands: run.lines(of: stage))
        }
        if result.json { return try result.printJSON(["stages": stages]) }
        for planned in stages {
            print("\(planned.stage.rawValue): \(planned.state)")
            for command in planned.commands { print("    \(command)") }
        }
    }

    private struct Planned: Encodable {
        let stage: RecipeStage
        let state: String
        let commands: [String]
    }

    private struct Summary: Encodable {
        let output: String
        let stages: [RecipeRun.Outcome]
        let evaluation: RunEvaluation
    }
}

extension ComputeOptions {
    /// The options again, for other commands of the same process.
    fileprivate var arguments: [String] {
        ["--device", "\(device.device)"] + (threads.map { ["--threads", "\($0)"] } ?? [])
    }
}
