import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Text

/// What Hummingbird hands over with a request.
struct ConnectionContext: InitializableFromSource {
    let channel: any Channel
    let logger: Logger

    init(source: ApplicationRequestContextSource) {
        channel = source.channel
        logger = source.logger
    }
}

/// Answers requests.
struct Responder: HTTPResponder {
    let model: ServedModel
    let options: ServerOptions
    let service: EngineService
    let admission: Admission
    let metrics: Metrics
    /// Where there is a second model.
    let exchange: ModelExchange?
    let shadow: Shadow?
    /// HTML that is served at `/`.
    let page: [UInt8]?
    let openAPI: ByteBuffer

    init(
        _ model: ServedModel, _ options: ServerOptions, _ service: EngineService,
        _ admission: Admission, _ metrics: Metrics, exchange: ModelExchange?, shadow: Shadow?,
        page: [UInt8]?
    ) {
        (self.model, self.options, self.service) = (model, options, service)
        (self.admission, self.metrics, self.page) = (admission, metrics, page)
        (self.exchange, self.shadow) = (exchange, shadow)
        // The document leaves the largest token id open.
        let text = String(decoding: PackageResources.openapi_json, as: UTF8.self)
        openAPI = ByteBuffer(
            string: text.replacing("\"LARGEST TOKEN\"", with: "\(model.vocabularySize - 1)"))
    }

    func respond(to request: Request, context: ConnectionContext) async throws -> Response {
        let id = RequestName.random("req-")
        let start = ContinuousClock.now
        var response: Response
        do {
            response = try await route(request, id, context)
        } catch let error as APIError {
            metrics.refuse(error.status)
            response = failure(error, request, context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            // The connection broke while its body was read, or there is a fault of ours.
            context.logger.error("\(error)", metadata: ["request": "\(id)"])
            response = failure(
                APIError(
                    status: 500, type: "server_error", message: "An internal error occurred.",
                    code: "internal_error"), request, context)
        }
        response.headers[.requestID] = id
        let level: Logger.Level = request.uri.path == Route.health.rawValue ? .debug : .info
        context.logger.log(
            level: level, "answered",
            metadata: [
                "request": "\(id)", "method": "\(request.method.rawValue)",
                "path": "\(request.uri.path.quotedForMessage)",
                "status": "\(response.status.code)",
                "seconds": "\(((ContinuousClock.now - start).seconds * 1000).rounded() / 1000)",
            ])
        return response
    }

    private func route(
        _ request: Request, _ id: String, _ context: ConnectionContext
    ) async throws -> Response {
        let route = Route(rawValue: request.uri.path)
        // Who has no key does not learn what there is.
        if route != .health, let keys = options.keys,
            !keys.authorize(request.headers[.authorization])
        {
            throw APIError.unauthorized
        }
        guard let route else {
            throw APIError.notFound("There is nothing at \(request.uri.path.quotedForMessage).")
        }
        let isRead = request.method == .get || request.method == .head
        guard route.takesBody ? request.method == .post : isRead else {
            throw APIError.methodNotAllowed(request.method.rawValue, allow: route.methods)
        }
        if route.takesBody {
            let type = request.headers[.contentType]?.prefix { $0 != ";" }
                .trimmingCharacters(in: .whitespaces).lowercased()
            guard type == nil || type == "application/json" else { throw APIError.mediaType }
        }
        if route.generates {
            return try await GenerationHandler(self, context, id).respond(to: request, at: route)
        }
        var response = try await answer(route, request)
        if request.method == .head {
            response.headers[.contentLength] = response.body.contentLength.map { "\($0)" }
            response.body = ResponseBody()
        }
        return response
    }

    private func answer(_ route: Route, _ request: Request) async throws -> Response {
        switch route {
        case .page:
            guard let page else { throw APIError.notFound("There is nothing at /.") }
            return Response(
                status: .ok,
                headers: [
                    .contentType: "text/html; charset=utf-8",
                    .contentSecurityPolicy:
                        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:",
                ], body: .init(byteBuffer: ByteBuffer(bytes: page)))
        case .models: return json { ModelList.write(model, exchange?.now, to: &$0) }
        case .health: return try health()
        case .metrics:
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: .init(
                    byteBuffer: ByteBuffer(
                        string: metrics.exposition(
                            service.load, exchange: exchange?.now, shadow: shadow?.counts))))
        case .openAPI:
            return Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: .init(byteBuffer: openAPI))
        case .tokenize:
            let answer = try TokenizeAnswer(try await body(of: request), model)
            return json { answer.write(to: &$0) }
        case .detokenize:
            let text = try Detokenize.text(try await body(of: request), model)
            return json {
                $0.writeStaticString("{\"prompt\":")
                $0.writeJSON(text)
                $0.writeStaticString("}")
            }
        case .modelChange: return try await changeModel(request)
        case .completions, .chat, .responses:
            preconditionFailure("what generates has a handler of its own")
        }
    }

    /// The body as JSON.
    func body(of request: Request) async throws -> JSON {
        let reader = BodyReader(limit: options.bodyLimit, timeout: .seconds(options.bodyTimeout))
        let buffer = try await reader.read(request)
        do {
            return try JSON(parsing: Array(buffer.readableBytesView))
        } catch {
            throw APIError.invalid("The body is not valid JSON: \(error).", code: "invalid_json")
        }
    }

    private func changeModel(_ request: Request) async throws -> Response {
        guard let exchange else { throw APIError.noFallback }
        let choice = try ModelChange.choice(try await body(of: request))
        if admission.isDraining { throw APIError.unavailable("The server is shutting down.") }
        try await exchange.use(choice, patience: .seconds(options.timeout))
        let state = exchange.now
        return json { ModelChange.write(model, state, to: &$0) }
    }

    /// A heartbeat of the engine, not of this server.
    private func health() throws(APIError) -> Response {
        if admission.isDraining { throw .unavailable("The server is shutting down.") }
        if let complaint = service.complaint(bound: .seconds(options.stepTimeout)) {
            throw .unavailable("The engine is broken: \(complaint).")
        }
        return json {
            $0.writeStaticString("{\"status\":\"ok\"")
            if let state = exchange?.now {
                $0.writeString(",\"active\":\"\(state.active.rawValue)\",\"changing_to\":")
                $0.writeJSON(state.target?.rawValue)
            }
            $0.writeStaticString("}")
        }
    }

    func json(_ write: (inout ByteBuffer) -> Void) -> Response {
        var buffer = ByteBuffer()
        write(&buffer)
        return Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: buffer))
    }

    private func failure(
        _ error: APIError, _ request: Request, _ context: ConnectionContext
    ) -> Response {
        var response = json { error.write(to: &$0) }
        response.status = .init(code: error.status)
        if let seconds = error.retryAfter { response.headers[.retryAfter] = "\(seconds)" }
        if let methods = error.allow { response.headers[.allow] = methods }
        if error.status == 401 {
            // Browsers ask for a password then, which is how the page's user can give the key.
            response.headers[.wwwAuthenticate] =
                request.uri.path == Route.page.rawValue ? "Basic realm=\"minima\"" : "Bearer"
        }
        // What is left of a body that nobody wants would be read for as long as the client sends it.
        let hasBody =
            request.headers[.contentLength].map { $0 != "0" } ?? false
            || request.headers[.transferEncoding] != nil
        if hasBody, error.status != 400 {
            response.headers[.connection] = "close"
            let channel = context.channel
            channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
        }
        return response
    }
}

/// Names of requests and answers, as nobody guesses them.
enum RequestName {
    static func random(_ prefix: String) -> String {
        let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        return prefix + String(repeating: "0", count: 16 - digits.count) + digits
            + String(UInt32.random(in: 0x1000_0000...UInt32.max), radix: 16)
    }
}

extension HTTPField.Name {
    static let requestID = known("X-Request-Id")
    static let accelBuffering = known("X-Accel-Buffering")

    private static func known(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else {
            preconditionFailure("\(name) is a field's name")
        }
        return name
    }
}
