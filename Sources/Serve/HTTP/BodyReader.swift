import Hummingbird
import NIOCore

/// Reads a request's body, of a bounded size, within a bounded time.
struct BodyReader: Sendable {
    let limit: Int
    let timeout: Duration

    func read(_ request: Request) async throws -> ByteBuffer {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit {
            throw APIError.bodyTooLarge(limit)
        }
        let body = request.body
        return try await withThrowingTaskGroup(of: ByteBuffer.self) { group in
            group.addTask { try await collect(body) }
            group.addTask {
                try await Task.sleep(for: timeout)
                throw APIError.bodyTimeout
            }
            defer { group.cancelAll() }
            guard let buffer = try await group.next() else { throw APIError.bodyTimeout }
            return buffer
        }
    }

    private func collect(_ body: RequestBody) async throws -> ByteBuffer {
        var whole = ByteBuffer()
        for try await var piece in body {
            guard whole.readableBytes + piece.readableBytes <= limit else {
                throw APIError.bodyTooLarge(limit)
            }
            whole.writeBuffer(&piece)
        }
        return whole
    }
}
