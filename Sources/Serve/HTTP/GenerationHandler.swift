import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization
import Text

/// Answers a request that the engine works for.
struct GenerationHandler: Sendable {
    private let responder: Responder
    private let context: ConnectionContext
    private let id: String

    init(_ responder: Responder, _ context: ConnectionContext, _ id: String) {
        (self.responder, self.context, self.id) = (responder, context, id)
    }

    func respond(to request: Request, at route: Route) async throws -> Response {
        // Before the body is read: what is refused costs no memory.
        let permit = try responder.admission.take(1)
        let body = try await responder.body(of: request)
        let wanted = try Self.read(body, at: route, responder.model)
        var permits = [permit]
        if wanted.choices.count > 1 {
            guard wanted.choices.count <= responder.admission.capacity else {
                throw APIError.invalid(
                    "\(wanted.choices.count) answers are more than this server makes at once.",
                    param: "n")
            }
            permits.append(try responder.admission.take(wanted.choices.count - 1))
        }
        var format = format(wanted, at: route)
        // Nothing to generate: the prompt is the answer.
        if wanted.choices[0].maxTokens == 0, !wanted.choices[0].scoresPrompt {
            return echo(wanted, &format)
        }
        let generation = Generation(
            wanted, responder.service, responder.metrics,
            timeline: RequestTimeline(choices: wanted.choices.count), permits: permits)
        let watch = Watch(context.channel, generation, seconds: responder.options.timeout)
        let first = try await generation.next()
        guard wanted.streams else {
            let answers = try await whole(first, generation, count: wanted.choices.count)
            watch.end()
            log(generation)
            return responder.json { format.whole(answers, into: &$0) }
        }
        return stream(first, generation, watch, format)
    }

    private static func read(
        _ body: JSON, at route: Route, _ model: ServedModel
    ) throws(APIError) -> GenerationRequest {
        switch route {
        case .chat: try .chat(body, model)
        case .responses: try .responses(body, model)
        default: try .completion(body, model)
        }
    }

    private func format(_ request: GenerationRequest, at route: Route) -> any AnswerFormat {
        func head(_ prefix: String) -> AnswerHead {
            AnswerHead(
                id: prefix + id.dropFirst(4), created: Int(Date().timeIntervalSince1970),
                model: responder.model, request: request)
        }
        switch route {
        case .chat: return ChatFormat(head("chatcmpl-"))
        case .responses: return ResponsesFormat(head("resp_"))
        default: return CompletionFormat(head("cmpl-"))
        }
    }

    private func whole(
        _ first: [Mailbox.Delivery], _ generation: Generation, count: Int
    ) async throws(APIError) -> [Answer] {
        var answers = Array(repeating: Answer(), count: count)
        var pieces = first
        while !pieces.isEmpty {
            for piece in pieces { answers[piece.choice].append(piece) }
            pieces = try await generation.next()
        }
        return answers
    }

    private func echo(
        _ request: GenerationRequest, _ format: inout any AnswerFormat
    ) -> Response {
        guard request.streams else {
            let answers = Array(repeating: Answer(), count: request.choices.count)
            return responder.json { format.whole(answers, into: &$0) }
        }
        var buffer = ByteBuffer()
        format.open(into: &buffer)
        for index in request.choices.indices {
            format.write(.ended(index), into: &buffer)
        }
        format.close(into: &buffer)
        return Response(
            status: .ok, headers: Self.streamHeaders, body: .init(byteBuffer: buffer))
    }

    private static let streamHeaders: HTTPFields = [
        .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache",
        .accelBuffering: "no",
    ]

    private func stream(
        _ first: [Mailbox.Delivery], _ generation: Generation, _ watch: Watch,
        _ format: any AnswerFormat
    ) -> Response {
        Response(
            status: .ok, headers: Self.streamHeaders,
            body: ResponseBody { writer in
                defer { watch.end() }
                var (format, pieces) = (format, first)
                var buffer = ByteBuffer()
                format.open(into: &buffer)
                do throws(APIError) {
                    while !pieces.isEmpty {
                        for piece in pieces { format.write(piece, into: &buffer) }
                        try await Self.send(&buffer, to: &writer)
                        pieces = try await generation.next()
                    }
                    format.close(into: &buffer)
                } catch {
                    guard error.status != 499 else { throw error }
                    buffer.writeStaticString(ByteBuffer.eventStart)
                    error.write(to: &buffer)
                    buffer.writeStaticString(ByteBuffer.eventEnd)
                }
                log(generation)
                try await writer.write(buffer)
                try await writer.finish(nil)
            })
    }

    private static func send(
        _ buffer: inout ByteBuffer, to writer: inout any ResponseBodyWriter
    ) async throws(APIError) {
        do {
            try await writer.write(buffer)
        } catch {
            throw .disconnected
        }
        // The connection holds on to what it was given.
        buffer = ByteBuffer()
    }

    private func log(_ generation: Generation) {
        context.logger.info(
            "generated",
            metadata: [
                "request": "\(id)", "tokens": "\(generation.timeline.tokens)",
                "first_token": "\(generation.timeline.timeToFirstToken ?? 0)",
                "seconds": "\((ContinuousClock.now - generation.timeline.arrival).seconds)",
            ])
    }
}

/// Ends a generation whose client leaves, or that takes too long.
private final class Watch: Sendable {
    private let channel: any Channel
    private let tasks: [Scheduled<Void>]
    /// The connection may be watched for its next request by the time this is released.
    private let hasEnded = Atomic<Bool>(false)

    init(_ channel: any Channel, _ generation: Generation, seconds: Int) {
        self.channel = channel
        ConnectionWatch.observe(channel) { [weak generation] in generation?.abort(.disconnected) }
        tasks = [
            channel.eventLoop.scheduleTask(in: .seconds(Int64(seconds))) { [weak generation] in
                generation?.abort(.deadline(seconds))
            },
            // Who has not read its error by then does not read.
            channel.eventLoop.scheduleTask(in: .seconds(Int64(seconds) + 5)) {
                channel.close(promise: nil)
            },
        ]
    }

    func end() {
        guard !hasEnded.exchange(true, ordering: .relaxed) else { return }
        for task in tasks { task.cancel() }
        ConnectionWatch.observe(channel, nil)
    }

    deinit { end() }
}
