// The dense model on the probes' text: its hidden states in front of every block are computed once, so
// that a probe of block l runs blocks l, l + 1, … and the head only.
import Artifacts
import Models
import Tensors

final class DenseRun {
    private let model: CausalLanguageModel
    /// Per block, and after the last, the hidden states of every window, `[1, tokens, hidden]`.
    private let states: [[Tensor]]
    /// ln p of the dense model by window and chunk of rows, as far as they fit in memory.
    private var logProbabilities: [[Tensor]] = []
    private let keepsProbabilities: Bool

    /// Rows of logits held at once.
    private static let rowsAtOnce = 256
    /// Most bytes of the dense model's log-probabilities; beyond it they are computed for every probe.
    private static let mostKept = 512 << 20

    /// - Parameter windows: of equally many token ids.
    init(_ model: CausalLanguageModel, windows: [[Int]]) throws {
        self.model = model
        var layers: [[Tensor]] = []
        var now = try windows.map { window in
            try model.ends.embed(
                try Tensor(window, shape: [1, window.count], on: model.device))
        }
        for block in model.blocks {
            layers.append(now)
            var none: KVCache?
            now = try now.map { try block.forward($0, rotary: model.rotary, cache: &none) }
        }
        states = layers + [now]
        let tokens = windows.reduce(0) { $0 + $1.count }
        let bytes = tokens.multipliedReportingOverflow(
            by: model.ends.head.shape[0] * ElementType.float32.byteCount)
        keepsProbabilities = !bytes.overflow && bytes.partialValue <= Self.mostKept
        if keepsProbabilities {
            logProbabilities = try now.map { state in
                try chunks(state).map { try logSoftmax(state, $0) }
            }
        }
    }

    /// Mean KL(dense ‖ probed) in nats per token, with one layer's weight replaced.
    /// - Parameter weight: Ŵ `[out, in]`.
    func divergence(replacing place: MatrixPlace, by weight: Tensor) throws -> Double {
        var probed = model.blocks[place.layer]
        let dense = probed[place.projection]
        probed[place.projection] = Linear(
            .dense(try weight.to(.float32, model.device)), bias: dense.bias)
        var (sum, tokens) = (0.0, 0)
        for (window, start) in states[place.layer].enumerated() {
            var none: KVCache?
            var x = try probed.forward(start, rotary: model.rotary, cache: &none)
            for block in model.blocks[(place.layer + 1)...] {
                x = try block.forward(x, rotary: model.rotary, cache: &none)
            }
            for (index, rows) in chunks(x).enumerated() {
                let p =
                    keepsProbabilities
                    ? logProbabilities[window][index]
                    : try logSoftmax(states[model.blocks.count][window], rows)
                sum += try p.divergence(to: logSoftmax(x, rows))
                tokens += rows.count
            }
        }
        // Rounding can leave the divergence of equal models a hair below zero.
        return max(0, sum / Double(tokens))
    }

    private func chunks(_ states: Tensor) -> [Range<Int>] {
        let length = states.shape[1]
        return stride(from: 0, to: length, by: Self.rowsAtOnce).map {
            $0..<min($0 + Self.rowsAtOnce, length)
        }
    }

    private func logSoftmax(_ states: Tensor, _ rows: Range<Int>) throws -> Tensor {
        let hidden = try states.squeezed(0).narrowed(0, rows)
        return try model.ends.project(model.ends.normalize(hidden)).logSoftmax()
    }
}
