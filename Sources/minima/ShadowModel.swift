import Evaluate
import Foundation
import Glibc
import Models
import Serve
import Synchronization
import Tensors

/// Runs finished answers of the served model through a dense one, on a thread that lets all others go first.
///
/// Weights are only read, by it and by the engine's thread; what each makes of them is its own.
final class ShadowModel: @unchecked Sendable {
    /// A model that goes when it is replaced.
    final class Served: @unchecked Sendable {
        private let lock = NSLock()
        private var model: CausalLanguageModel?

        func put(_ model: CausalLanguageModel?) { lock.withLock { self.model = model } }
        var now: CausalLanguageModel? { lock.withLock { model } }
    }

    let shadow: Shadow
    let served = Served()
    private let dense: CausalLanguageModel
    private let hasEnded = DispatchSemaphore(value: 0)

    /// Tokens of an answer and its prompt at most.
    static let longest = 4_096

    init(_ dense: CausalLanguageModel, fraction: Double) {
        self.dense = dense
        shadow = Shadow(fraction: fraction, longest: Self.longest)
    }

    func start() {
        let thread = Thread {
            // Of this thread alone, and of those that libtorch starts for it.
            setpriority(Int32(PRIO_PROCESS.rawValue), 0, 19)
            withoutGradients { self.shadow.run(self.score) }
            self.hasEnded.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Waits for the comparison that is under way.
    func stop() {
        shadow.stop()
        hasEnded.wait()
    }

    private func score(_ sample: Shadow.Sample) throws -> Shadow.Score {
        guard let model = served.now else { throw Gone() }
        var score = WindowScore(hasReference: true)
        try score.add(
            sample.prompt + sample.answer, scored: sample.answer.count, model: model,
            reference: ReferenceModel(dense))
        let tokens = Double(score.tokens)
        return Shadow.Score(
            tokens: score.tokens, agreements: Int(((score.top1Agreement ?? 0) * tokens).rounded()),
            divergence: (score.klMean ?? 0) * tokens)
    }

    /// Another model has taken the served one's place meanwhile.
    private struct Gone: Error {}
}
