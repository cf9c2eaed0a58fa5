import Foundation
import Testing

@testable import Serve

@Suite("Keys")
struct AuthorizationTests {
    private let keys = APIKeys(["secret-key-1", "another-key"])

    @Test func acceptsOnlyTheKeys() {
        #expect(keys.accept("secret-key-1".utf8))
        #expect(keys.accept("another-key".utf8))
        for wrong in [
            "", "s", "secret-key-", "secret-key-2", "secret-key-11", "another-keyanother-key",
            "secret-key-1\0", "SECRET-KEY-1",
        ] {
            #expect(!keys.accept(wrong.utf8), "\(wrong)")
        }
    }

    @Test func headers() {
        #expect(keys.authorize("Bearer secret-key-1"))
        #expect(keys.authorize("bearer  another-key "))
        let basic = Data("minima:another-key".utf8).base64EncodedString()
        #expect(keys.authorize("Basic \(basic)"))
        for wrong in [
            nil, "", "Bearer", "Bearer ", "secret-key-1", "Basic secret-key-1", "Basic !!!",
            "Digest secret-key-1",
        ] {
            #expect(!keys.authorize(wrong), "\(wrong ?? "nil")")
        }
    }

    @Test func everyRouteButHealthAsksForAKey() async throws {
        let keys = keys
        let server = try await TestServer(page: [1]) { $0.keys = keys }
        let paths =
            Route.allCases.map(\.rawValue) + ["/nothing", "//health", "/health/", "/Health"]
        for path in paths where path != "/health" {
            for method in ["GET", "POST", "PUT", "OPTIONS"] {
                let reply = try await server.get(path, method: method)
                #expect(reply.status == 401, "\(method) \(path)")
                #expect(reply.headers["www-authenticate"] != nil)
            }
            // What an address says of another path does not count.
            let forged = try await server.get(path, headers: "X-Original-URL: /health\r\n")
            #expect(forged.status == 401)
        }
        let health = try await server.get("/health")
        #expect(health.status == 200)
        let host = try await server.exchange(
            "GET /v1/models HTTP/1.1\r\nHost: a/health?x\r\nConnection: close\r\n\r\n")
        #expect(host.status == 401)
        let absolute = try await server.exchange(
            "GET http://x/v1/models?/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(absolute.status == 401)
        let known = try await server.get(
            "/v1/models", headers: "Authorization: Bearer secret-key-1\r\n")
        #expect(known.status == 200)
        try await server.stop()
    }

    @Test func files() throws {
        let file = FileManager.default.temporaryDirectory
            .appendingPathComponent("keys-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "# clients\nfirst-key\n\n  second-key \n".write(
            toFile: file, atomically: true, encoding: .utf8)
        let keys = try APIKeys(file: file)
        #expect(keys.accept("first-key".utf8) && keys.accept("second-key".utf8))
        #expect(!keys.accept("# clients".utf8))
        try "# nothing\n".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(throws: APIKeysError.empty(file)) { try APIKeys(file: file) }
        try "short\n".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(throws: APIKeysError.weak(file, length: 5)) { try APIKeys(file: file) }
        #expect(throws: APIKeysError.unreadable("/nowhere")) { try APIKeys(file: "/nowhere") }
    }
}
