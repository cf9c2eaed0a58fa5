/// A refusal or a fault, as OpenAI's interface words it.
package struct APIError: Error, Equatable, Sendable {
    package let status: Int
    /// OpenAI's word for the kind of error.
    package let type: String
    package let message: String
    /// The field that is wrong.
    package var param: String?
    package var code: String?
    /// Seconds after which another try makes sense.
    package var retryAfter: Int?
    /// Methods that would have been right.
    package var allow: String?

    package static func invalid(
        _ message: String, param: String? = nil, code: String? = nil
    ) -> APIError {
        APIError(
            status: 400, type: "invalid_request_error", message: message, param: param, code: code)
    }

    package static func tooLong(_ message: String, param: String) -> APIError {
        invalid(message, param: param, code: "context_length_exceeded")
    }

    package static let unauthorized = APIError(
        status: 401, type: "authentication_error",
        message: "An API key is missing or wrong: send it as `Authorization: Bearer KEY`.",
        code: "invalid_api_key")

    package static func notFound(_ message: String, code: String? = nil) -> APIError {
        APIError(status: 404, type: "invalid_request_error", message: message, code: code)
    }

    package static func methodNotAllowed(_ method: String, allow: String) -> APIError {
        APIError(
            status: 405, type: "invalid_request_error",
            message: "The method \(method) is not allowed here; \(allow) is.", allow: allow)
    }

    package static let mediaType = APIError(
        status: 415, type: "invalid_request_error",
        message: "The body must be of type application/json.", code: "unsupported_media_type")

    package static let bodyTimeout = APIError(
        status: 408, type: "timeout_error", message: "The request's body did not arrive in time.",
        code: "request_timeout")

    package static func bodyTooLarge(_ limit: Int) -> APIError {
        APIError(
            status: 413, type: "invalid_request_error",
            message: "The request's body is larger than \(limit) bytes.", code: "body_too_large")
    }

    package static func full(retryAfter: Int) -> APIError {
        APIError(
            status: 429, type: "rate_limit_error",
            message: "As many requests run and wait as may; try again later.",
            code: "queue_full", retryAfter: retryAfter)
    }

    /// A fault in the engine that concerned this request.
    package static func engine(_ message: String) -> APIError {
        APIError(
            status: 500, type: "server_error", message: "The engine failed: \(message)",
            code: "engine_error")
    }

    package static func unavailable(_ message: String) -> APIError {
        APIError(
            status: 503, type: "server_error", message: message, code: "unavailable", retryAfter: 5)
    }

    package static func deadline(_ seconds: Int) -> APIError {
        APIError(
            status: 504, type: "timeout_error",
            message: "The request took longer than \(seconds) s, which is this server's limit.",
            code: "deadline_exceeded")
    }

    /// The client has left: nobody reads this.
    package static let disconnected = APIError(
        status: 499, type: "client_error", message: "The client has closed the connection.")

    /// The client takes too long to read what was written for it.
    package static let slowReader = APIError(
        status: 499, type: "client_error", message: "The client does not read its answer.")

    /// Whether it is the client's doing, or its patience, that no answer came.
    var isAbort: Bool { status == 499 || status == 504 }
}
