import NIOCore

/// Answers of /v1/chat/completions.
struct ChatFormat: AnswerFormat {
    private let head: AnswerHead
    private let prefix: ByteBuffer
    /// Of each choice.
    private var tokens: [Int]
    /// Where there are tools.
    private var parsers: [ToolCallParser]

    init(_ head: AnswerHead) {
        self.head = head
        prefix = head.fields(
            object: head.request.streams ? "chat.completion.chunk" : "chat.completion")
        let count = head.request.choices.count
        tokens = Array(repeating: 0, count: count)
        if let marks = head.request.toolCallMarks {
            parsers = Array(repeating: ToolCallParser(marks), count: count)
        } else {
            parsers = []
        }
    }

    /// What is certain of a choice's text and calls, with the number of the first of these.
    private struct Words {
        var text = ""
        var calls: [ToolCall] = []
        var firstCall = 0

        init(_ pieces: [ToolCallParser.Piece], before: Int) {
            firstCall = before
            for piece in pieces {
                switch piece {
                case .content(let content): text += content
                case .call(let call): calls.append(call)
                }
            }
        }
    }

    private mutating func words(_ piece: Mailbox.Delivery) -> Words {
        guard !parsers.isEmpty else { return Words([.content(piece.text)], before: 0) }
        let before = parsers[piece.choice].count
        var pieces = parsers[piece.choice].append(piece.text)
        if piece.end != nil { pieces += parsers[piece.choice].finish() }
        return Words(pieces, before: before)
    }

    /// - Parameter calls: of the whole answer.
    private func reason(_ end: FinishReason, calls: Int) -> String {
        end == .stop && calls > 0 ? "tool_calls" : end.rawValue
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
        let words = words(piece)
        buffer.writeStaticString(ByteBuffer.eventStart)
        buffer.writeImmutableBuffer(prefix)
        buffer.writeString(",\"choices\":[{\"index\":\(piece.choice),\"delta\":{")
        if !words.text.isEmpty {
            buffer.writeStaticString("\"content\":")
            buffer.writeJSON(words.text)
        }
        if !words.calls.isEmpty {
            if !words.text.isEmpty { buffer.writeStaticString(",") }
            write(words.calls, from: words.firstCall, into: &buffer)
        }
        buffer.writeStaticString("},\"logprobs\":")
        write(piece.choice, piece.likelihoods, into: &buffer)
        buffer.writeStaticString(",\"finish_reason\":")
        let calls = parsers.isEmpty ? 0 : parsers[piece.choice].count
        buffer.writeJSON(piece.end.map { reason($0, calls: calls) })
        buffer.writeStaticString("}]}")
        buffer.writeStaticString(ByteBuffer.eventEnd)
    }

    mutating func close(into buffer: inout ByteBuffer) {
        head.writeEnd(behind: prefix, tokens.reduce(0, +), into: &buffer)
    }

    func whole(_ answers: [Answer], into buffer: inout ByteBuffer) {
        head.writeWhole(answers, behind: prefix, into: &buffer) { buffer, index, answer in
            var words = Words([.content(answer.text)], before: 0)
            if var parser = parsers.isEmpty ? nil : parsers[index] {
                words = Words(parser.append(answer.text) + parser.finish(), before: 0)
            }
            buffer.writeString(
                "{\"index\":\(index),\"message\":{\"role\":\"assistant\",\"content\":")
            buffer.writeJSON(words.text.isEmpty && !words.calls.isEmpty ? nil : words.text)
            if !words.calls.isEmpty {
                buffer.writeStaticString(",")
                write(words.calls, from: nil, into: &buffer)
            }
            buffer.writeStaticString(",\"refusal\":null},\"logprobs\":")
            write(index, answer.likelihoods, into: &buffer)
            buffer.writeStaticString(",\"finish_reason\":")
            buffer.writeJSON(reason(answer.end, calls: words.calls.count))
            buffer.writeStaticString("}")
        }
    }

    /// - Parameter first: the number of the first call, which pieces of a stream say.
    private func write(_ calls: [ToolCall], from first: Int?, into buffer: inout ByteBuffer) {
        buffer.writeStaticString("\"tool_calls\":")
        buffer.writeJSON(calls.enumerated()) { buffer, item in
            buffer.writeStaticString("{")
            if let first { buffer.writeString("\"index\":\(first + item.offset),") }
            buffer.writeString(
                "\"id\":\"\(RequestName.random("call_"))\",\"type\":\"function\",\"function\":{\"name\":"
            )
            buffer.writeJSON(item.element.name)
            buffer.writeStaticString(",\"arguments\":")
            buffer.writeJSON(item.element.arguments)
            buffer.writeStaticString("}}")
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
