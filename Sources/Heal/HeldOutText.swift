import Artifacts
import Tensors
import Text

/// Text that is measured on before and after, never learnt from.
package struct HeldOutText {
    package let file: String
    /// All of it.
    package let tokens: [Int32]

    /// Windows of a file that are measured at most: enough for a mean to about 0.3%.
    package static let mostWindows = 32

    package init(_ path: String, _ tokenizer: Tokenizer) throws {
        file = path
        var stream = try TokenStream(Corpus(path: path), tokenizer)
        var all: [Int32] = []
        while let next = try stream.nextDocument() { all += next }
        tokens = all
    }

    /// Mean loss and divergence, nats per token, of the file's first windows.
    func measure(
        _ trainer: Trainer, _ source: BatchSource, window: Int
    ) throws -> (loss: Double, divergence: Double, tokens: Int) {
        let count = min(Self.mostWindows, max(0, tokens.count - 1) / window)
        guard count > 0 else { throw HealError.textTooShort(files: [file], window: window) }
        var inputs: [BatchPass.Input] = []
        for first in stride(from: 0, to: count, by: source.windowsAtOnce) {
            let group = first..<min(first + source.windowsAtOnce, count)
            let ids = group.flatMap { tokens[$0 * window...($0 + 1) * window] }
            inputs.append(try source.input(ids, windows: group.count, factors: nil, 1, 0))
        }
        let sums = try trainer.measure(inputs)
        let targets = count * window
        return (sums.nextToken / Double(targets), sums.divergence / Double(targets), targets)
    }
}
