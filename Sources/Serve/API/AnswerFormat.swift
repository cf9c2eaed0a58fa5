import NIOCore
import Text

/// How an endpoint words what the engine says: one piece at a time, or all of it.
protocol AnswerFormat: Sendable {
    /// What a stream begins with.
    mutating func open(into buffer: inout ByteBuffer)
    /// A piece of a stream.
    mutating func write(_ piece: Mailbox.Delivery, into buffer: inout ByteBuffer)
    /// What a stream ends with.
    mutating func close(into buffer: inout ByteBuffer)
    /// An answer that does not stream.
    func whole(_ answers: [Answer], into buffer: inout ByteBuffer)
}

/// A choice that has ended.
struct Answer: Sendable {
    var text = ""
    var tokens = 0
    var likelihoods: [TokenLikelihood] = []
    var end: FinishReason = .length

    mutating func append(_ piece: Mailbox.Delivery) {
        text += piece.text
        tokens = piece.tokens
        likelihoods += piece.likelihoods
        if let end = piece.end { self.end = end }
    }
}

/// What all of a request's answers say of themselves.
struct AnswerHead: Sendable {
    let id: String
    /// Seconds since 1970.
    let created: Int
    let model: ServedModel
    let request: GenerationRequest

    /// `"id":…,"object":…,"created":…,"model":…`
    func fields(object: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeStaticString("{\"id\":")
        buffer.writeJSON(id)
        buffer.writeStaticString(",\"object\":")
        buffer.writeJSON(object)
        buffer.writeString(",\"created\":\(created),\"model\":")
        buffer.writeJSON(model.name)
        return buffer
    }

    /// `"usage":{…}`
    func writeUsage(_ answerTokens: Int, into buffer: inout ByteBuffer) {
        let prompt = request.promptTokens
        buffer.writeString(
            "\"usage\":{\"prompt_tokens\":\(prompt),\"completion_tokens\":\(answerTokens),\"total_tokens\":\(prompt + answerTokens)}"
        )
    }

    /// What a stream of either endpoint ends with: the usage, where it was asked for, and the mark.
    /// - Parameter prefix: `fields`.
    func writeEnd(behind prefix: ByteBuffer, _ answerTokens: Int, into buffer: inout ByteBuffer) {
        if request.includesUsage {
            buffer.writeStaticString(ByteBuffer.eventStart)
            buffer.writeImmutableBuffer(prefix)
            buffer.writeStaticString(",\"choices\":[],")
            writeUsage(answerTokens, into: &buffer)
            buffer.writeStaticString("}")
            buffer.writeStaticString(ByteBuffer.eventEnd)
        }
        buffer.writeStaticString("data: [DONE]\n\n")
    }

    /// An answer that does not stream: choices, each as `write` words it, and the usage.
    func writeWhole(
        _ answers: [Answer], behind prefix: ByteBuffer, into buffer: inout ByteBuffer,
        _ write: (inout ByteBuffer, Int, Answer) -> Void
    ) {
        buffer.writeImmutableBuffer(prefix)
        buffer.writeStaticString(",\"choices\":")
        buffer.writeJSON(answers.enumerated()) { write(&$0, $1.offset, $1.element) }
        buffer.writeStaticString(",")
        writeUsage(answers.reduce(0) { $0 + $1.tokens }, into: &buffer)
        buffer.writeStaticString("}")
    }

    /// A token's own text, and its bytes, which may be a part of a character.
    func token(_ id: Int) -> (text: String, bytes: [UInt8]) {
        let bytes = TokenID(exactly: id).flatMap(model.tokenizer.bytes(of:)) ?? []
        return (String(decoding: bytes, as: UTF8.self), bytes)
    }

    /// Characters that begin in a token's text: a character of several tokens is counted with the first.
    func characters(of id: Int) -> Int {
        token(id).bytes.count { $0 & 0xC0 != 0x80 }
    }
}

extension ByteBuffer {
    static let eventStart: StaticString = "data: "
    static let eventEnd: StaticString = "\n\n"
}
