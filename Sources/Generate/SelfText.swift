import Models
import Tensors

/// Text that a model writes when it is given nothing: calibration data where the user has none.
package struct SelfText {
    /// Sequences to write.
    package var sequences = 32
    /// Tokens of each, the start included.
    package var length = 513
    package var seed: UInt64 = 0

    package init() {}

    /// Samples at temperature 1 from the model's own distribution, all sequences at once.
    /// - Parameters:
    ///   - start: token that every sequence begins with.
    ///   - progress: called with the number of tokens written per sequence.
    /// - Returns: `sequences` lists of `length` ids.
    package func sample(
        from model: CausalLanguageModel, start: Int, progress: (Int) throws -> Void = { _ in }
    ) throws -> [[Int]] {
        try withoutGradients {
            var cache: KVCache? = KVCache(layers: model.configuration.layerCount, capacity: length)
            var columns = [
                try Tensor.full([sequences, 1], Double(start), .int64, on: model.device)
            ]
            for step in 1..<length {
                let hidden = try model.hiddenStates(columns[step - 1], cache: &cache)
                let logits = try model.ends.project(try hidden.selected(1, 0)).converted(
                    to: .float32)
                // Inverse transform sampling: the number of cumulated probabilities below a uniform
                // draw is the token.
                let cumulated = try logits.softmax().cumulativeSum(-1)
                let draws = try Tensor.uniform([sequences, 1], seed: seed &+ UInt64(step))
                    .moved(to: model.device)
                let token = try cumulated.lessOrEqual(draws).converted(to: .int64)
                    .sum(-1, keeping: true)
                columns.append(
                    try token.minimum(
                        try Tensor.full([], Double(logits.shape[1] - 1), .int64, on: model.device)))
                try progress(step)
            }
            let all = try Tensor.concatenated(columns, along: 1).elements(as: Int.self)
            return stride(from: 0, to: all.count, by: length).map { Array(all[$0..<$0 + length]) }
        }
    }
}
