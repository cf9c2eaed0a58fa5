import NIOCore

/// Answers of /v1/responses: one message of one text.
struct ResponsesFormat: AnswerFormat {
    private let head: AnswerHead
    private let messageID: String
    private var sequence = 0
    private var answer = Answer()

    init(_ head: AnswerHead) {
        self.head = head
        messageID = "msg_\(head.id.dropFirst(5))"
    }

    mutating func open(into buffer: inout ByteBuffer) {
        event("response.created", next(), into: &buffer) {
            $0.writeResponse(head, messageID, nil)
        }
        event("response.in_progress", next(), into: &buffer) {
            $0.writeResponse(head, messageID, nil)
        }
        event("response.output_item.added", next(), into: &buffer) {
            $0.writeString(
                "\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"\(messageID)\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}"
            )
        }
        event("response.content_part.added", next(), into: &buffer) {
            $0.writeString(
                "\(place),\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}")
        }
    }

    private var place: String {
        "\"item_id\":\"\(messageID)\",\"output_index\":0,\"content_index\":0"
    }

    mutating func write(_ piece: Mailbox.Delivery, into buffer: inout ByteBuffer) {
        answer.append(piece)
        guard !piece.text.isEmpty else { return }
        event("response.output_text.delta", next(), into: &buffer) {
            $0.writeString("\(place),\"delta\":")
            $0.writeJSON(piece.text)
            $0.writeStaticString(",\"logprobs\":[]")
        }
    }

    mutating func close(into buffer: inout ByteBuffer) {
        let answer = self.answer
        event("response.output_text.done", next(), into: &buffer) {
            $0.writeString("\(place),\"text\":")
            $0.writeJSON(answer.text)
            $0.writeStaticString(",\"logprobs\":[]")
        }
        event("response.content_part.done", next(), into: &buffer) {
            $0.writeString("\(place),\"part\":")
            $0.writePart(answer.text)
        }
        event("response.output_item.done", next(), into: &buffer) {
            $0.writeStaticString("\"output_index\":0,\"item\":")
            $0.writeMessage(messageID, answer)
        }
        let name = answer.end == .length ? "response.incomplete" : "response.completed"
        event(name, next(), into: &buffer) { $0.writeResponse(head, messageID, answer) }
    }

    func whole(_ answers: [Answer], into buffer: inout ByteBuffer) {
        buffer.writeResponseObject(head, messageID, answers.first)
    }

    private mutating func next() -> Int {
        defer { sequence += 1 }
        return sequence
    }

    private func event(
        _ name: String, _ number: Int, into buffer: inout ByteBuffer,
        _ write: (inout ByteBuffer) -> Void
    ) {
        buffer.writeString(
            "event: \(name)\ndata: {\"type\":\"\(name)\",\"sequence_number\":\(number),")
        write(&buffer)
        buffer.writeStaticString("}\n\n")
    }
}

extension ByteBuffer {
    fileprivate mutating func writeResponse(
        _ head: AnswerHead, _ messageID: String, _ answer: Answer?
    ) {
        writeStaticString("\"response\":")
        writeResponseObject(head, messageID, answer)
    }

    /// - Parameter answer: `nil` while it is being made.
    fileprivate mutating func writeResponseObject(
        _ head: AnswerHead, _ messageID: String, _ answer: Answer?
    ) {
        let isCut = answer?.end == .length
        let status = answer == nil ? "in_progress" : isCut ? "incomplete" : "completed"
        writeStaticString("{\"id\":")
        writeJSON(head.id)
        writeString(
            ",\"object\":\"response\",\"created_at\":\(head.created),\"status\":\"\(status)\",\"error\":null,\"incomplete_details\":"
        )
        writeString(isCut ? "{\"reason\":\"max_output_tokens\"}" : "null")
        writeStaticString(",\"instructions\":null,\"metadata\":{},\"model\":")
        writeJSON(head.model.name)
        writeStaticString(",\"output\":[")
        if let answer { writeMessage(messageID, answer) }
        let sampling = head.request.choices[0].sampling
        writeString(
            "],\"parallel_tool_calls\":true,\"temperature\":\(sampling.temperature),\"top_p\":\(sampling.topP),\"tool_choice\":\"auto\",\"tools\":[],\"text\":{\"format\":{\"type\":\"text\"}},\"max_output_tokens\":\(head.request.choices[0].maxTokens),\"usage\":"
        )
        if let answer {
            let prompt = head.request.promptTokens
            writeString(
                "{\"input_tokens\":\(prompt),\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":\(answer.tokens),\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":\(prompt + answer.tokens)}"
            )
        } else {
            writeStaticString("null")
        }
        writeStaticString("}")
    }

    fileprivate mutating func writeMessage(_ id: String, _ answer: Answer) {
        let status = answer.end == .length ? "incomplete" : "completed"
        writeString(
            "{\"type\":\"message\",\"id\":\"\(id)\",\"status\":\"\(status)\",\"role\":\"assistant\",\"content\":["
        )
        writePart(answer.text)
        writeStaticString("]}")
    }

    fileprivate mutating func writePart(_ text: String) {
        writeStaticString("{\"type\":\"output_text\",\"text\":")
        writeJSON(text)
        writeStaticString(",\"annotations\":[],\"logprobs\":[]}")
    }
}
