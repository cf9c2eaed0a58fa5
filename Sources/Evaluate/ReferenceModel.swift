import Models
import Tensors

/// A model that others are compared with, loaded once. What it computes on a window is the same for all of
/// them: its hidden states are kept, up to a limit, and only its head is run again (its logits would take
/// the vocabulary's width where these take the model's).
package final class ReferenceModel {
    package let model: CausalLanguageModel
    private var known: [[Int]: Tensor] = [:]
    private var free: Int

    /// - Parameter keptBytes: most bytes of hidden states.
    package init(_ model: CausalLanguageModel, keptBytes: Int = 0) {
        self.model = model
        free = keptBytes
    }

    /// Hidden states after the final norm, `[tokens, hidden]`, of one window's inputs.
    func hiddenStates(_ window: [Int]) throws -> Tensor {
        if let states = known[window] { return states }
        var none: KVCache?
        let ids = try Tensor(window, shape: [1, window.count], on: model.device)
        let states = try model.hiddenStates(ids, cache: &none).squeezed(0)
        let bytes = states.count * states.elementType.byteCount
        if bytes <= free {
            free -= bytes
            known[window] = states
        }
        return states
    }
}
