import Artifacts
import Foundation
import Tensors
import Text

/// Prompts with the answers that a model is to give, packed into windows; only what stands in an answer,
/// its end included, is learnt.
///
/// The file has one JSON object a line, with the strings `prompt` and `answer`. Both are encoded by
/// themselves: a space between them belongs to one of the two.
package struct TaskExamples {
    /// `length + 1` tokens, and of each of the last `length` whether it is learnt.
    struct Window {
        var tokens: [Int32]
        var isAnswer: [Bool]

        var answerTokens: Int { isAnswer.count(where: { $0 }) }
    }

    let windows: [Window]
    /// Examples that are longer than a window, and left out.
    package let skipped: Int
    package let count: Int
    let fingerprint: Fingerprint

    package init(_ path: String, _ tokenizer: Tokenizer, length: Int) throws {
        fingerprint = try Fingerprint(ofFile: path)
        guard let end = tokenizer.eosToken else {
            throw CorpusError.noEndOfDocument(file: path)
        }
        func reader(_ field: String) throws -> DocumentReader {
            try Corpus(path: path, format: .jsonLines(field: field)).documents()
        }
        var (prompts, answers) = (try reader("prompt"), try reader("answer"))
        var (packed, skipped, count) = ([Window](), 0, 0)
        var tokens: [Int32] = []
        var isAnswer: [Bool] = []
        func close() {
            guard !tokens.isEmpty else { return }
            let rest = length + 1 - tokens.count
            let padding = Array(repeating: end, count: rest)
            let mask = isAnswer + Array(repeating: false, count: rest)
            packed.append(Window(tokens: tokens + padding, isAnswer: Array(mask.dropFirst())))
            (tokens, isAnswer) = ([], [])
        }
        while let prompt = try prompts.nextUTF8(), let answer = try answers.nextUTF8() {
            count += 1
            let (asked, given) = (
                tokenizer.encode(utf8: prompt), tokenizer.encode(utf8: answer) + [end]
            )
            guard given.count > 1 else {
                throw HealError.taskLine(file: path, line: count, cause: "the answer is empty")
            }
            guard asked.count + given.count <= length + 1 else {
                skipped += 1
                continue
            }
            if tokens.count + asked.count + given.count > length + 1 { close() }
            tokens += asked + given
            isAnswer +=
                Array(repeating: false, count: asked.count)
                + Array(repeating: true, count: given.count)
        }
        close()
        guard !packed.isEmpty else { throw HealError.tasksTooLong(file: path, window: length) }
        self.windows = packed
        self.skipped = skipped
        self.count = count
    }
}
