import Artifacts
import Foundation
import Models
import Text

/// The tokenizer of what is served.
struct ServedTokenizer {
    let folder: String
    let tokenizer: Tokenizer

    /// - Parameters:
    ///   - folder: as asked for; `nil` takes the one that the model is in.
    ///   - note: told what becomes of the ids of random weights.
    init(
        folder: String?, _ options: BenchModelOptions, _ configuration: ModelConfiguration,
        note: (String) -> Void
    ) throws {
        guard options.dummy, let config = options.config else {
            self.folder = folder ?? options.model ?? ""
            tokenizer = try Tokenizer(path: self.folder)
            try Self.check(tokenizer, configuration, self.folder, isChosen: folder != nil)
            return
        }
        self.folder = folder ?? URL(fileURLWithPath: config).deletingLastPathComponent().path
        do {
            tokenizer = try Tokenizer(path: self.folder).standingIn()
        } catch {
            guard folder == nil else { throw error }
            throw NoTokenizer(config: config, cause: "\(error)")
        }
        try Self.check(tokenizer, configuration, self.folder, isChosen: true)
        note(
            "random weights make no text: each token is written as a whole one of \(self.folder), ids from \(tokenizer.vocabularySize.grouped) on as those at their remainder; prompts may be ids below \(configuration.vocabularySize.grouped)"
        )
    }

    /// - Parameter isChosen: whether it is another one than the model came with.
    private static func check(
        _ tokenizer: Tokenizer, _ configuration: ModelConfiguration, _ folder: String,
        isChosen: Bool
    ) throws {
        guard isChosen, tokenizer.vocabularySize > configuration.vocabularySize else { return }
        throw TooManyIDs(
            folder: folder, ids: tokenizer.vocabularySize, most: configuration.vocabularySize)
    }
}

private struct NoTokenizer: Error, CustomStringConvertible {
    let config: String
    let cause: String

    var description: String {
        "no tokenizer beside \(config): \(cause); pass --tokenizer FOLDER, any whose vocabulary is not larger than the model's"
    }
}

private struct TooManyIDs: Error, CustomStringConvertible {
    let folder: String
    let ids: Int
    let most: Int

    var description: String {
        "the tokenizer of \(folder) has \(ids.grouped) ids and the model \(most.grouped): a text could not be given to the model"
    }
}
