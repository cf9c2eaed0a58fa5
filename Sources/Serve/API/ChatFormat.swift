import NIOCore

/// Answers of /v1/chat/completions.
struct ChatFormat: AnswerFormat {
    private let head: AnswerHead
    private let prefix: ByteBuffer
    /// Of each choice.
    private var tokens: [Int]

    init(_ head: AnswerHead) {
        self.head = head
        prefix = head.fields(
            object: head.request.streams ? "chat.completion.chunk" : "chat.completion")
        tokens = Array(repeating: 0, count: head.request.choices.count)
    }

    mutating func open(into buffer: inout ByteBuffer) {
        for index in tokens.indices {
            buffer.writeStaticString(ByteBuffer.eventStart)
            buffer.writeImmutableBuffer(prefix)
            buffer.writeString(
                ",\"choices\":[{\"index\":\(index),\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}"
            )
            buffer.writeStaticString(ByteBuffer.eventEnd)
        }
    }

    mutating func write(_ piece: Mailbox.Delivery, into buffer: inout ByteBuffer) {
        tokens[piece.choice] = piece.tokens
        buffer.writeStaticString(ByteBuffer.eventStart)
        buffer.writeImmutableBuffer(prefix)
        buffer.writeString(",\"choices\":[{\"index\":\(piece.choice),\"delta\":{")
        if !piece.text.isEmpty {
            buffer.writeStaticString("\"content\":")
            buffer.writeJSON(piece.text)
        }
        buffer.writeStaticString("},\"logprobs\":")
        write(piece.choice, piece.likelihoods, into: &buffer)
        buffer.writeStaticString(",\"finish_reason\":")
        buffer.writeJSON(piece.end?.rawValue)
        buffer.writeStaticString("}]}")
        buffer.writeStaticString(ByteBuffer.eventEnd)
    }

    mutating func close(into buffer: inout ByteBuffer) {
        head.writeEnd(behind: prefix, tokens.reduce(0, +), into: &buffer)
    }

    func whole(_ answers: [Answer], into buffer: inout ByteBuffer) {
        head.writeWhole(answers, behind: prefix, into: &buffer) { buffer, index, answer in
            buffer.writeString(
                "{\"index\":\(index),\"message\":{\"role\":\"assistant\",\"content\":")
            buffer.writeJSON(answer.text)
            buffer.writeStaticString(",\"refusal\":null},\"logprobs\":")
            write(index, answer.likelihoods, into: &buffer)
            buffer.writeStaticString(",\"finish_reason\":")
            buffer.writeJSON(answer.end.rawValue)
            buffer.writeStaticString("}")
        }
    }

    private func write(
        _ choice: Int, _ likelihoods: [TokenLikelihood], into buffer: inout ByteBuffer
    ) {
        guard head.request.choices[choice].sampling.logprobs != nil else {
            buffer.writeStaticString("null")
            return
        }
        buffer.writeStaticString("{\"content\":")
        buffer.writeJSON(likelihoods) { buffer, likelihood in
            buffer.writeStaticString("{")
            write(likelihood.chosen, into: &buffer)
            buffer.writeStaticString(",\"top_logprobs\":")
            buffer.writeJSON(likelihood.top) { buffer, entry in
                buffer.writeStaticString("{")
                write(entry, into: &buffer)
                buffer.writeStaticString("}")
            }
            buffer.writeStaticString("}")
        }
        buffer.writeStaticString(",\"refusal\":null}")
    }

    private func write(_ entry: TokenLikelihood.Entry, into buffer: inout ByteBuffer) {
        let token = head.token(entry.token)
        buffer.writeStaticString("\"token\":")
        buffer.writeJSON(token.text)
        buffer.writeStaticString(",\"logprob\":")
        buffer.writeJSON(entry.logprob)
        buffer.writeStaticString(",\"bytes\":")
        buffer.writeJSON(token.bytes) { $0.writeJSON(Int($1)) }
    }
}
