import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// A connection to a server, opened when it is wanted and again when the server has closed it; one request at a time.
final class LoadClient {
    private let address: LoadAddress
    private let key: String?
    private let timeout: Int
    private let group: any EventLoopGroup
    private var channel: (any Channel)?

    /// - Parameters:
    ///   - key: sent as `Authorization: Bearer`.
    ///   - timeout: seconds that a request may take.
    init(_ address: LoadAddress, key: String?, timeout: Int, group: any EventLoopGroup) {
        (self.address, self.key, self.timeout, self.group) = (address, key, timeout, group)
    }

    func close() { channel?.close(promise: nil) }

    /// Sends a request and waits until all of its answer has come, or none will.
    func exchange(
        _ method: HTTPMethod, _ path: String, _ body: ByteBuffer
    ) async -> LoadObservation {
        let channel: any Channel
        do {
            channel = try await connected()
        } catch {
            var observation = LoadObservation()
            observation.sent = StreamObserver.now
            (observation.end, observation.failure) = (observation.sent, "connection")
            observation.message = "\(error)"
            return observation
        }
        var headers: HTTPHeaders = ["Host": address.authority, "Accept": "*/*"]
        if method == .POST {
            headers.add(name: "Content-Type", value: "application/json")
            headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        }
        if let key { headers.add(name: "Authorization", value: "Bearer \(key)") }
        let head = HTTPRequestHead(
            version: .http1_1, method: method, uri: address.path + path, headers: headers)
        let (sent, timeout) = (StreamObserver.now, timeout)
        return await withCheckedContinuation { continuation in
            let exchange = LoadExchange(head, body, continuation)
            @Sendable func fail(_ kind: String, _ message: String) {
                var observation = LoadObservation()
                (observation.sent, observation.end) = (sent, StreamObserver.now)
                (observation.failure, observation.message) = (kind, message)
                exchange.finish(observation)
            }
            let alarm = channel.eventLoop.scheduleTask(in: .seconds(Int64(timeout))) {
                fail("timeout", "no whole answer in \(timeout) s")
                channel.close(promise: nil)
            }
            exchange.onEnd { alarm.cancel() }
            channel.writeAndFlush(exchange).whenFailure { fail("connection", "\($0)") }
        }
    }

    private func connected() async throws -> any Channel {
        if let channel, channel.isActive { return channel }
        let (address, encryption) = (address, try Self.encryption(address))
        let channel = try await ClientBootstrap(group: group)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .connectTimeout(.seconds(10))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let encryption {
                        // A name is what certificates are for; an address goes without.
                        let isAddress =
                            (try? SocketAddress(ipAddress: address.host, port: 0)) != nil
                        try pipeline.addHandler(
                            NIOSSLClientHandler(
                                context: encryption,
                                serverHostname: isAddress ? nil : address.host))
                    }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(StreamObserver())
                }
            }.connect(host: address.host, port: address.port).get()
        self.channel = channel
        return channel
    }

    private static func encryption(_ address: LoadAddress) throws -> NIOSSLContext? {
        guard address.isEncrypted else { return nil }
        return try NIOSSLContext(configuration: .makeClientConfiguration())
    }
}
