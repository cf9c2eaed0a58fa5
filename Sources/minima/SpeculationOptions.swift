import ArgumentParser
import Artifacts
import Generate
import Models

enum Speculator: String, CaseIterable, ExpressibleByArgument {
    case ngram
}

/// The length of drafts: a number, or by what is measured.
enum DraftLengthOption: ExpressibleByArgument {
    case auto
    case tokens(Int)

    init?(argument: String) {
        if argument == "auto" {
            self = .auto
        } else if let tokens = Int(argument), (1...Speculation.limit).contains(tokens) {
            self = .tokens(tokens)
        } else {
            return nil
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .auto: "auto"
        case .tokens(let tokens): "\(tokens)"
        }
    }

    var tokens: Int? { if case .tokens(let tokens) = self { tokens } else { nil } }
}

/// What guesses ahead of a model.
struct SpeculationOptions: ParsableArguments {
    @Option(
        help: "Folder of a draft model that guesses ahead; the text stays what it is without.",
        completion: .directory)
    var draft: String?

    @Option(
        help: "Guess ahead without a draft model: ngram takes what followed the same tokens before."
    )
    var speculate: Speculator?

    @Option(
        help: "Tokens to guess at once, 1 to \(Speculation.limit), or auto: as many as pay.")
    var draftLength = DraftLengthOption.auto

    func validate() throws {
        if draft != nil, speculate != nil {
            throw ValidationError("--draft and --speculate exclude each other")
        }
        if draft == nil, speculate == nil, draftLength.tokens != nil {
            throw ValidationError("--draft-length needs --draft or --speculate")
        }
    }

    /// - Parameter checkpoint: of the model that is guessed for; `nil` where it has none.
    /// - Returns: what to tell the user beside it.
    func load(
        for model: CausalLanguageModel, _ checkpoint: Checkpoint?
    ) throws -> (speculation: Speculation, note: String?) {
        if speculate == .ngram { return (Speculation(.lookUp, length: draftLength.tokens), nil) }
        guard let draft else { return (.none, nil) }
        let loaded = try DraftModel(folder: draft, for: model)
        var note: String?
        if let checkpoint, let expected = loaded.configuration.target {
            let found = try checkpoint.fingerprint()
            if found != expected {
                note =
                    "\(draft) was trained for another checkpoint (\(expected.hex.prefix(12))…, not \(found.hex.prefix(12))…): the text is right all the same, and guesses are wrong more often"
            }
        }
        return (Speculation(.draft(loaded), length: draftLength.tokens), note)
    }
}
