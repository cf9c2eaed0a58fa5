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
        /// Each behind an option of its own.
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
        switch self {
        case .calibration:
            [RecipeKey("text", .path, option: "calibration")]
                + Self.keys(.whole, "windows", "window", "seed")
        case .analyze:
            Self.keys(.number, "shrinkage") + Self.keys(.list, "candidates")
                + Self.keys(.text, "patches") + Self.keys(.whole, "probes")
                + Self.keys(.path, "predictor")
        case .plan:
            Self.keys(.number, "keep", "decode-tps") + Self.keys(.text, "bytes", "vram")
                + Self.keys(.whole, "context", "concurrency", "rank-multiple")
                + Self.keys(.path, "kernel-times")
        case .compress:
            Self.keys(.text, "metric")
                + Self.keys(.number, "shrinkage", "anchor", "refine-rate")
                + Self.keys(.flag, "one-sided") + Self.keys(.choice, "refine")
                + Self.keys(.whole, "refine-steps", "refine-windows")
        case .heal: Self.healing
        case .evaluate:
            Self.keys(.paths, "text") + Self.keys(.whole, "window", "stride", "windows")
                + Self.keys(.text, "dtype") + Self.keys(.list, "tasks")
                + Self.keys(.path, "task-data") + Self.keys(.whole, "limit", "shots")
        case .report: Self.keys(.folders, "compare")
        }
    }

    private static var healing: [RecipeKey] {
        keys(.paths, "corpus", "evaluation") + keys(.path, "tasks")
            + keys(.text, "tokens", "batch-tokens", "micro-batch-tokens", "schedule")
            + keys(.whole, "window", "seed", "save-every")
            + keys(.number, "next-token", "kl", "hidden", "task", "learning-rate")
            + keys(.number, "weight-decay", "warmup", "floor", "clip")
            + keys(.flag, "allow-overlap", "train-embeddings")
            + keys(.choice, "checkpoint-blocks")
    }

    private static func keys(_ kind: RecipeKey.Kind, _ names: String...) -> [RecipeKey] {
        names.map { RecipeKey($0, kind) }
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
