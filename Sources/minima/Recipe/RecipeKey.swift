/// A key of a recipe's section: an option of the stage's command, and what may stand there.
struct RecipeKey: Sendable {
    enum Kind: Sendable {
        case number, whole, text
        /// Words that the option separates by commas.
        case list
        /// An option that is there or not.
        case flag
        /// An option with a `--no-…` beside it.
        case choice
        case path
        /// Behind one option.
        case paths
        /// Files or folders, each behind an option of its own.
        case folders
    }

    let name: String
    let kind: Kind
    /// Name of the option, without dashes.
    let option: String

    init(_ name: String, _ kind: Kind, option: String? = nil) {
        self.name = name
        self.kind = kind
        self.option = option ?? name
    }
}

/// The parts of a recipe.
enum RecipePart: String, CaseIterable, Sendable {
    case calibration, analyze, plan, compress, heal, evaluate, report

    /// Those that a recipe must have.
    static let required: [RecipePart] = [.plan, .evaluate]

    /// Keys of the recipe itself.
    static let model = RecipeKey("model", .path)
    static let output = RecipeKey("output", .path)

    var keys: [RecipeKey] {
        names.flatMap { kind, names in names.map { RecipeKey($0, kind) } }
            // The one key whose option has another name.
            + (self == .calibration ? [RecipeKey("text", .path, option: "calibration")] : [])
    }

    private var names: [(kind: RecipeKey.Kind, names: [String])] {
        switch self {
        case .calibration: [(.whole, ["windows", "window", "seed"])]
        case .analyze:
            [
                (.number, ["shrinkage"]), (.list, ["candidates"]), (.text, ["patches"]),
                (.whole, ["probes"]), (.path, ["predictor"]),
            ]
        case .plan:
            [
                (.number, ["keep", "decode-tps"]), (.text, ["bytes", "vram", "weights"]),
                (.whole, ["context", "concurrency", "rank-multiple"]), (.path, ["kernel-times"]),
            ]
        case .compress:
            [
                (.text, ["metric", "weights", "rounding"]),
                (.number, ["shrinkage", "anchor", "refine-rate"]),
                (.flag, ["one-sided"]), (.choice, ["refine"]),
                (.whole, ["refine-steps", "refine-windows"]),
            ]
        case .heal:
            [
                (.paths, ["corpus", "evaluation"]), (.path, ["tasks"]),
                (.text, ["tokens", "batch-tokens", "micro-batch-tokens", "schedule"]),
                (.whole, ["window", "seed", "save-every", "teacher-cache"]),
                (.number, ["next-token", "kl", "hidden", "task", "learning-rate"]),
                (.number, ["weight-decay", "warmup", "floor", "clip"]),
                (.flag, ["allow-overlap", "train-embeddings"]), (.choice, ["checkpoint-blocks"]),
            ]
        case .evaluate:
            [
                (.paths, ["text"]), (.whole, ["window", "stride", "windows"]),
                (.text, ["dtype"]), (.list, ["tasks"]), (.path, ["task-data"]),
                (.whole, ["limit", "shots"]),
            ]
        case .report: [(.folders, ["compare", "draft", "speculation"])]
        }
    }
}

/// What stands behind a key.
struct RecipeValue: Sendable {
    let key: RecipeKey
    /// In the recipe's file, from 1.
    let line: Int
    /// One, but for paths and folders. Paths are absolute; "true" or "false" for flags.
    let words: [String]

    /// As the command takes it.
    var arguments: [String] {
        let option = "--\(key.option)"
        return switch key.kind {
        case .flag: words == ["true"] ? [option] : []
        case .choice: words == ["true"] ? [option] : ["--no-\(key.option)"]
        case .paths: [option] + words
        case .folders: words.flatMap { [option, $0] }
        // A value with a dash in front would be taken for an option.
        case .number, .whole, .text, .list, .path:
            words.flatMap { $0.hasPrefix("-") ? ["\(option)=\($0)"] : [option, $0] }
        }
    }

    var isPath: Bool {
        switch key.kind {
        case .path, .paths, .folders: true
        case .number, .whole, .text, .list, .flag, .choice: false
        }
    }
}
