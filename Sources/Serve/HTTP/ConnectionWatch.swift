import NIOCore

/// Tells whoever works for a connection that its client has left. A client that closes its side counts as gone: no client
/// of this interface reads an answer behind its own end.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private var isClosed = false
    private var onClose: (@Sendable () -> Void)?

    func channelInactive(context: ChannelHandlerContext) {
        close()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { close() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close()
        context.fireErrorCaught(error)
    }

    private func close() {
        isClosed = true
        onClose?()
        onClose = nil
    }

    /// Calls `body` when the client leaves, at once if it has left; instead of what was to be called before.
    static func observe(_ channel: any Channel, _ body: (@Sendable () -> Void)?) {
        channel.eventLoop.execute {
            // A connection without its pipeline is closed.
            guard let watch = try? channel.pipeline.syncOperations.handler(type: Self.self) else {
                body?()
                return
            }
            if watch.isClosed { body?() } else { watch.onClose = body }
        }
    }
}
