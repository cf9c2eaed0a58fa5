import NIOCore

/// Answers of /v1/completions.
struct CompletionFormat: AnswerFormat {
    private let head: AnswerHead
    private let prefix: ByteBuffer
    /// Of each choice.
    private var tokens: [Int]
    private var isBegun: [Bool]
    /// Of each choice's next token, in characters of its text.
    private var offsets: [Int]

    init(_ head: AnswerHead) {
        self.head = head
        let count = head.request.choices.count
        prefix = head.fields(object: "text_completion")
        tokens = Array(repeating: 0, count: count)
        isBegun = Array(repeating: false, count: count)
        offsets = (0..<count).map { Self.firstOffset(of: $0, head) }
    }

    mutating func open(into buffer: inout ByteBuffer) {}

    mutating func write(_ piece: Mailbox.Delivery, into buffer: inout ByteBuffer) {
        tokens[piece.choice] = piece.tokens
        buffer.writeStaticString(ByteBuffer.eventStart)
        buffer.writeImmutableBuffer(prefix)
        buffer.writeStaticString(",\"choices\":[")
        let isFirst = !isBegun[piece.choice]
        isBegun[piece.choice] = true
        write(
            piece.choice, isFirst: isFirst, piece.text, piece.likelihoods,
            offset: &offsets[piece.choice], piece.end, into: &buffer)
        buffer.writeStaticString("]}")
        buffer.writeStaticString(ByteBuffer.eventEnd)
    }

    mutating func close(into buffer: inout ByteBuffer) {
        head.writeEnd(behind: prefix, tokens.reduce(0, +), into: &buffer)
    }

    func whole(_ answers: [Answer], into buffer: inout ByteBuffer) {
        head.writeWhole(answers, behind: prefix, into: &buffer) { buffer, index, answer in
            var offset = Self.firstOffset(of: index, head)
            write(
                index, isFirst: true, answer.text, answer.likelihoods, offset: &offset, answer.end,
                into: &buffer)
        }
    }

    /// Where a choice's first token begins: before its text, where tokens of the prompt stand for no characters that the
    /// client sent (one that marks the beginning, a blank that the tokenizer puts first).
    private static func firstOffset(of index: Int, _ head: AnswerHead) -> Int {
        let choice = head.request.choices[index]
        guard choice.scoresPrompt else { return 0 }
        let characters = choice.prompt.reduce(0) { $0 + head.characters(of: $1) }
        return min(0, head.request.echoes[index].unicodeScalars.count - characters)
    }

    /// - Parameter isFirst: it is the first that is written of the choice: what is echoed stands before it.
    private func write(
        _ index: Int, isFirst: Bool, _ text: String, _ likelihoods: [TokenLikelihood],
        offset: inout Int, _ end: FinishReason?, into buffer: inout ByteBuffer
    ) {
        let choice = head.request.choices[index]
        let hasEcho = isFirst && !head.request.echoes.isEmpty
        buffer.writeString("{\"index\":\(index),\"text\":")
        buffer.writeJSON(hasEcho ? head.request.echoes[index] + text : text)
        buffer.writeStaticString(",\"logprobs\":")
        if choice.sampling.logprobs == nil {
            buffer.writeStaticString("null")
        } else {
            write(
                (hasEcho ? [Row(token: choice.prompt[0], likelihood: nil)] : [])
                    + likelihoods.map { Row(token: $0.chosen.token, likelihood: $0) },
                offset: &offset, into: &buffer)
        }
        buffer.writeStaticString(",\"finish_reason\":")
        buffer.writeJSON(end?.rawValue)
        buffer.writeStaticString("}")
    }

    /// A token, and how likely it was; nothing is said of a prompt's first.
    private struct Row {
        let token: Int
        let likelihood: TokenLikelihood?
    }

    /// - Parameter offset: of the next token, in characters of the answer.
    private func write(_ rows: [Row], offset: inout Int, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("{\"tokens\":")
        buffer.writeJSON(rows) { $0.writeJSON(head.token($1.token).text) }
        buffer.writeStaticString(",\"token_logprobs\":")
        buffer.writeJSON(rows) { buffer, row in
            if let likelihood = row.likelihood {
                buffer.writeJSON(likelihood.chosen.logprob)
            } else {
                buffer.writeStaticString("null")
            }
        }
        buffer.writeStaticString(",\"top_logprobs\":")
        buffer.writeJSON(rows) { buffer, row in
            guard let likelihood = row.likelihood else {
                buffer.writeStaticString("null")
                return
            }
            buffer.writeStaticString("{")
            // Two tokens may look alike as text; the likelier one is told.
            var seen: Set<String> = []
            for entry in likelihood.top + [likelihood.chosen] {
                let text = head.token(entry.token).text
                guard seen.insert(text).inserted else { continue }
                if seen.count > 1 { buffer.writeStaticString(",") }
                buffer.writeJSON(text)
                buffer.writeStaticString(":")
                buffer.writeJSON(entry.logprob)
            }
            buffer.writeStaticString("}")
        }
        buffer.writeStaticString(",\"text_offset\":")
        buffer.writeJSON(rows) { buffer, row in
            buffer.writeJSON(max(0, offset))
            offset += head.characters(of: row.token)
        }
        buffer.writeStaticString("}")
    }
}
