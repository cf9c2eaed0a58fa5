// HTTP in, tokens out. The engine runs on a thread of its own; everything here is tasks and event loops.
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle

/// An OpenAI-compatible server over one engine.
package struct Server: Sendable {
    private let options: ServerOptions
    let admission: Admission
    private let logger: Logger
    private let services: ServiceGroup
    /// What the caller runs the engine with.
    package let engine: EngineService
    package let metrics: Metrics

    /// - Parameters:
    ///   - exchange: of the engine's models, where it has two; its engine is an `ExchangingEngine`.
    ///   - shadow: whose counts are among the metrics.
    ///   - page: HTML that is served at `/`; nothing is if `nil`.
    ///   - onRunning: called with the port once clients can connect.
    package init(
        _ model: ServedModel, _ options: ServerOptions, exchange: ModelExchange? = nil,
        shadow: Shadow? = nil, page: [UInt8]? = nil, logger: Logger,
        onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws {
        (self.options, self.logger) = (options, logger)
        let metrics = Metrics(model: model.name)
        let engine = EngineService(metrics: metrics)
        let admission = Admission(concurrency: options.concurrency, queue: options.queue)
        (self.metrics, self.engine, self.admission) = (metrics, engine, admission)
        exchange?.onRequest { engine.wake() }
        let responder = Responder(
            model, options, engine, admission, metrics, exchange: exchange, shadow: shadow,
            page: page)
        let application = Application(
            responder: responder, server: try Self.channels(options),
            configuration: .init(
                address: .hostname(options.host, port: options.port), serverName: nil,
                backlog: 1_024,
                availableConnectionsDelegate: .maximum(options.connections, logger: logger)),
            onServerRunning: { onRunning($0.localAddress?.port ?? 0) }, logger: logger)
        services = ServiceGroup(
            configuration: .init(services: [.init(service: application)], logger: logger))
    }

    /// Serves until it is drained.
    /// - Throws: where it cannot listen.
    package func run() async throws { try await services.run() }

    /// Lets nobody in any more and ends `run` when the last request has ended.
    package func drain() async {
        admission.drain()
        await services.triggerGracefulShutdown()
    }

    private static func channels(_ options: ServerOptions) throws -> HTTPServerBuilder {
        var limits = HTTP1Channel.Configuration.DecoderConfiguration()
        limits.maxHeaderFieldSize = options.headerLimit
        limits.maxHeaderListSize = options.headerLimit
        limits.maxHeaderFieldCount = options.headerFields
        let plain = HTTPServerBuilder.http1(
            configuration: .init(
                additionalChannelHandlers: [ConnectionWatch()],
                idleTimeout: .seconds(Int64(options.idleTimeout)),
                httpDecoderConfiguration: limits))
        guard let files = options.certificate else { return plain }
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(files.chain)
            let key = try NIOSSLPrivateKey(file: files.key, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return try .tls(plain, tlsConfiguration: configuration)
        } catch {
            throw CertificateError(files: files, cause: "\(error)")
        }
    }
}

package struct CertificateError: Error, CustomStringConvertible {
    let files: ServerOptions.Certificate
    let cause: String

    package var description: String {
        "\(files.chain) and \(files.key) cannot be used as certificate and key: \(cause)"
    }
}
