// The key and the certificate in Tests/Reference are for tests and for nothing else:
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout localhost-key.pem -out localhost.pem \
//     -days 36500 -subj /CN=localhost -addext "subjectAltName=DNS:localhost,IP:127.0.0.1"
import Foundation
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import Serve

@Suite("TLS")
struct TLSTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Reference").path
    private static let certificate = ServerOptions.Certificate(
        chain: "\(folder)/localhost.pem", key: "\(folder)/localhost-key.pem")

    /// Collects what comes until the other side closes.
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let done: EventLoopPromise<String>
        private var text = ""

        init(_ done: EventLoopPromise<String>) { self.done = done }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            done.fail(error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { done.succeed(text) }
    }

    private func exchange(
        _ text: String, port: Int, atMost version: TLSVersion
    ) async throws -> String {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(Self.certificate.chain)
        configuration.minimumTLSVersion = .tlsv1
        configuration.maximumTLSVersion = version
        let context = try NIOSSLContext(configuration: configuration)
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let done = loop.makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        NIOSSLClientHandler(context: context, serverHostname: "localhost"),
                        Collector(done))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
        return try await done.futureResult.get()
    }

    @Test func servesAndStreams() async throws {
        let server = try await TestServer { $0.certificate = Self.certificate }
        let body = #"{"prompt":"a","max_tokens":3,"stream":true}"#
        let request =
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        for version in [TLSVersion.tlsv12, .tlsv13] {
            let answer = try await exchange(request, port: server.port, atMost: version)
            #expect(answer.hasPrefix("HTTP/1.1 200") && answer.contains("data: [DONE]"))
        }
        await #expect(throws: (any Error).self, "TLS 1.1 is no longer spoken") {
            try await exchange(request, port: server.port, atMost: .tlsv11)
        }
        // Without TLS there is no answer.
        let plain = try await offCooperativePool { [port = server.port] in
            let wire = try Wire(port: port)
            wire.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            return String(decoding: wire.readAll(seconds: 5), as: UTF8.self)
        }
        #expect(!plain.contains("HTTP/1.1 200"))
        try await server.stop()
    }

    @Test func unusableFiles() async throws {
        var options = ServerOptions()
        options.certificate = .init(chain: "/nowhere.pem", key: Self.certificate.key)
        let model = try TestServer.model()
        #expect(throws: CertificateError.self) {
            try Server(model, options, logger: .init(label: "test"))
        }
    }
}
