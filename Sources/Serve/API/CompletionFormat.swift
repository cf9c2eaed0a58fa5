import NIOCore

/// Answers of /v1/completions.
struct CompletionFormat: AnswerFormat {
    private let head: AnswerHead
    private let prefix: ByteBuffer
    /// Of each choice.
    private var tokens: [Int]
    private var isEchoed: [Bool]
    private var offsets: [Int]

    init(_ head: AnswerHead) {
        self.head = head
        let count = head.request.choices.count
        prefix = head.fields(object: "text_completion")
        tokens = Array(repeating: 0, count: count)
        offsets = tokens
        isEchoed = Array(repeating: head.request.echoes.isEmpty, count: count)
    }

    mutating func open(into buffer: inout ByteBuffer) {}

    mutating func write(_ piece: Mailbox.Delivery, into buffer: inout ByteBuffer) {
        tokens[piece.choice] = piece.tokens
        buffer.writeStaticString(ByteBuffer.eventStart)
        buffer.writeImmutableBuffer(prefix)
        buffer.writeStaticString(",\"choices\":[")
        var text = piece.text
        if !isEchoed[piece.choice] {
            isEchoed[piece.choice] = true
            text = head.request.echoes[piece.choice] + text
        }
        write(
            piece.choice, text, piece.likelihoods, offset: &offsets[piece.choice], piece.end,
            into: &buffer)
        buffer.writeStaticString("]}")
        buffer.writeStaticString(ByteBuffer.eventEnd)
    }

    mutating func close(into buffer: inout ByteBuffer) {
        head.writeEnd(behind: prefix, tokens.reduce(0, +), into: &buffer)
    }

    func whole(_ answers: [Answer], into buffer: inout ByteBuffer) {
        head.writeWhole(answers, behind: prefix, into: &buffer) { buffer, index, answer in
            let echo = head.request.echoes.isEmpty ? "" : head.request.echoes[index]
            var offset = 0
            write(
                index, echo + answer.text, answer.likelihoods, offset: &offset, answer.end,
                into: &buffer)
        }
    }

    private func write(
        _ index: Int, _ text: String, _ likelihoods: [TokenLikelihood], offset: inout Int,
        _ end: FinishReason?, into buffer: inout ByteBuffer
    ) {
        buffer.writeString("{\"index\":\(index),\"text\":")
        buffer.writeJSON(text)
        buffer.writeStaticString(",\"logprobs\":")
        if head.request.choices[index].sampling.logprobs == nil {
            buffer.writeStaticString("null")
        } else {
            write(likelihoods, offset: &offset, into: &buffer)
        }
        buffer.writeStaticString(",\"finish_reason\":")
        buffer.writeJSON(end?.rawValue)
        buffer.writeStaticString("}")
    }

    /// - Parameter offset: of the next token, in characters of the answer.
    private func write(
        _ likelihoods: [TokenLikelihood], offset: inout Int, into buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("{\"tokens\":")
        buffer.writeJSON(likelihoods) { $0.writeJSON(head.token($1.chosen.token).text) }
        buffer.writeStaticString(",\"token_logprobs\":")
        buffer.writeJSON(likelihoods) { $0.writeJSON($1.chosen.logprob) }
        buffer.writeStaticString(",\"top_logprobs\":")
        buffer.writeJSON(likelihoods) { buffer, likelihood in
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
        buffer.writeJSON(likelihoods) { buffer, likelihood in
            buffer.writeJSON(offset)
            offset += head.token(likelihood.chosen.token).text.unicodeScalars.count
        }
        buffer.writeStaticString("}")
    }
}
