/// Where the server listens, and what it lets clients do.
package struct ServerOptions: Sendable {
    package var host = "127.0.0.1"
    package var port = 8000
    /// Answers that run at once, and answers that wait.
    package var concurrency = 64
    package var queue = 256
    /// Seconds that a request may take from its arrival.
    package var timeout = 600
    /// Seconds in which a step must end while work waits, or /health says that the engine is broken.
    package var stepTimeout = 60
    /// None lets everybody in.
    package var keys: APIKeys?
    package var certificate: Certificate?
    /// Bytes of a request's body.
    package var bodyLimit = 4 << 20
    /// Seconds in which a body must arrive.
    package var bodyTimeout = 30
    /// Seconds that a connection may be idle, or take for a request's head.
    package var idleTimeout = 60
    package var connections = 1_024
    /// Bytes of a request's header.
    package var headerLimit = 32 << 10
    package var headerFields = 100

    package init() {}

    /// PEM files.
    package struct Certificate: Sendable {
        package let chain: String
        package let key: String

        package init(chain: String, key: String) { (self.chain, self.key) = (chain, key) }
    }
}
