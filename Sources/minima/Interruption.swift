import Dispatch
import Foundation
import Synchronization

/// Thrown from a progress report after SIGINT or SIGTERM, so that a stage ends between two steps with
/// its work on disk in order.
struct Interruption: Error {
    private static let requested = Atomic<Bool>(false)
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
                if requested.exchange(true, ordering: .relaxed) { exit(130) }
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Throws once a stop was asked for.
    static func check() throws(Interruption) {
        if requested.load(ordering: .relaxed) { throw Interruption() }
    }
}
