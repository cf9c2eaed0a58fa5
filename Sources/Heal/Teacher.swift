import Artifacts
import Models
import Tensors

/// The model that is learnt from: run, never changed.
package struct Teacher {
    let model: CausalLanguageModel

    package init(_ model: CausalLanguageModel) { self.model = model }

    /// What it computes on some windows.
    struct Observation {
        /// After every block, `[windows, tokens, hidden]`, where they were asked for.
        let blocks: [Tensor]
        /// After the final norm, `[windows · tokens, hidden]`.
        let states: Tensor
    }

    /// - Parameter ids: integers `[windows, tokens]`.
    func observe(_ ids: Tensor, keepingBlocks: Bool) throws -> Observation {
        try withoutGradients {
            var none: KVCache?
            var x = try model.ends.embed(ids)
            var blocks: [Tensor] = []
            for block in model.blocks {
                x = try block.forward(x, rotary: model.rotary, cache: &none)
                if keepingBlocks { blocks.append(x) }
            }
            let states = try model.ends.normalize(x)
            return Observation(
                blocks: blocks,
                states: try states.reshaped([ids.count, model.configuration.hiddenSize]))
        }
    }
}
