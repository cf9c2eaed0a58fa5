import Dispatch
import Foundation
import Synchronization

/// Thrown from a progress report after SIGINT or SIGTERM, so that a stage ends between two steps with
/// its work on disk in order.
struct Interruption: Error {
    private static let requested = Atomic<Bool>(false)
    /// What a command does instead of looking.
    private static let handler = Mutex<(@Sendable () -> Void)?>(nil)
    /// Signal sources end when they are released; written once, before any other thread runs.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    /// From now on the first SIGINT or SIGTERM asks for a clean stop and the second ends at once.
    static func install() {
        // A limit on file size then fails the write, which is reported, instead of killing the process.
        signal(SIGXFSZ, SIG_IGN)
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                // At once: `exit` would take libtorch apart under the threads that compute with it.
                if requested.exchange(true, ordering: .relaxed) { _exit(130) }
                handler.withLock { $0 }?()
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Has `body` called when a stop is asked for, at once if it was.
    static func onRequest(_ body: @escaping @Sendable () -> Void) {
        handler.withLock { $0 = body }
        if requested.load(ordering: .relaxed) { body() }
    }

    /// Throws once a stop was asked for.
    static func check() throws(Interruption) {
        if requested.load(ordering: .relaxed) { throw Interruption() }
    }
}
