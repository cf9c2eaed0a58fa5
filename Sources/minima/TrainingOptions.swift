import ArgumentParser
import Foundation
import Heal
import Tensors

/// A number with K, M or G behind it: 5M.
struct Amount: ExpressibleByArgument {
    let value: Int

    init(_ value: Int) { self.value = value }

    init?(argument: String) {
        let factors: [Character: Double] = ["k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9]
        let factor = argument.last.flatMap { factors[Character($0.lowercased())] }
        let digits = factor == nil ? argument[...] : argument.dropLast()
        guard let number = Double(digits), number > 0, number * (factor ?? 1) < 1e15 else {
            return nil
        }
        value = Int((number * (factor ?? 1)).rounded())
    }

    var defaultValueDescription: String { value.grouped }
}

extension LearningRateSchedule.Shape: ExpressibleByArgument {}

/// What every training is asked.
struct TrainingOptions: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: "Files of text to learn from (.txt, .jsonl, also .xz or .gz); at least one.",
        completion: .file())
    var corpus: [String]

    @Option(name: .shortAndLong, help: "Folder to write; it appears when it is complete.")
    var output: String

    @Option(help: "Tokens to learn from, as in 5M.")
    var tokens = Amount(TrainingSettings().tokens)

    @Option(help: "Tokens per step of the optimiser.")
    var batchTokens = Amount(TrainingSettings().batchTokens)

    @Option(help: "Inputs per window.")
    var window = TrainingSettings().window

    @Option(help: "Tokens that go through the model at once. Default: what memory should hold.")
    var microBatchTokens: Amount?

    @Flag(
        inversion: .prefixedNo,
        help:
            "Run every block again for its gradient instead of keeping what it computed. Default: where one window would not fit otherwise."
    )
    var checkpointBlocks: Bool?

    @Option(help: "How the learning rate goes after it has risen: cosine or wsd.")
    var schedule = TrainingSettings().schedule

    @Option(help: "Share of the steps over which the learning rate rises.")
    var warmup = TrainingSettings().warmup

    @Option(help: "Where the learning rate ends, as a share of its largest.")
    var floor = TrainingSettings().floor

    @Option(help: "Longest gradient; a longer one is scaled down to it.")
    var clip = TrainingSettings().clip

    @Option(help: "Seed of the order of windows.")
    var seed: UInt64 = 0

    @Option(
        parsing: .upToNextOption,
        help: "Held-out files of text, measured before and after and searched for in the corpus.",
        completion: .file())
    var evaluation: [String] = []

    @Flag(help: "Train although evaluation text stands in the corpus.")
    var allowOverlap = false

    @Option(help: "Steps from one kept state to the next. Default: every five minutes.")
    var saveEvery: Int?

    @Option(
        help:
            "Of several processes: seconds that they wait for one another at the start, and after which one that gives no sign of life ends the training. However long one evaluates or writes, the others wait."
    )
    var peerTimeout = 60.0

    @Flag(help: "Replace the output folder if it exists.")
    var overwrite = false

    @Flag(help: "Discard an unfinished run of the same output.")
    var restart = false

    func validate() throws {
        guard !corpus.isEmpty else { throw ValidationError("--corpus needs at least one file") }
        guard window >= 2 else { throw ValidationError("--window must be 2 or more") }
        for (name, value) in [("warmup", warmup), ("floor", floor)]
        where !(0...1).contains(value) {
            throw ValidationError("--\(name) must be from 0 to 1")
        }
        guard clip > 0, clip.isFinite else { throw ValidationError("--clip must be above 0") }
        guard peerTimeout >= 1, peerTimeout <= 86_400 else {
            throw ValidationError("--peer-timeout must be from 1 to 86400")
        }
        if let saveEvery, saveEvery < 1 {
            throw ValidationError("--save-every must be 1 or more")
        }
    }

    func apply(to settings: inout TrainingSettings) {
        settings.tokens = tokens.value
        settings.batchTokens = batchTokens.value
        settings.window = window
        settings.microBatchTokens = microBatchTokens?.value
        settings.checkpointsBlocks = checkpointBlocks
        settings.schedule = schedule
        settings.warmup = warmup
        settings.floor = floor
        settings.clip = clip
        settings.seed = seed
    }

    /// The processes that train together, as the environment has them, and this one's device.
    func meet(_ compute: ComputeOptions) throws -> (ProcessGroup, Device) {
        let place = try ProcessPlace.find(in: ProcessInfo.processInfo.environment)
        let device = try compute.resolve(for: place)
        guard let place else { return (ProcessGroup(), device) }
        return (try ProcessGroup(place, on: device, patience: peerTimeout), device)
    }

    func place(on device: Device) -> TrainingPlace {
        var place = TrainingPlace(corpus: corpus, output: output)
        place.evaluation = evaluation
        place.allowsOverlap = allowOverlap
        place.overwrite = overwrite
        place.restart = restart
        place.saving.steps = saveEvery
        place.device = device
        return place
    }
}
