import Artifacts

extension CausalLanguageModel {
    /// Parameters of the blocks' linear layers as they are stored; biases, embedding and head excluded.
    package var linearParameterCount: Int {
        blocks.reduce(0) { sum, block in
            sum + Projection.allCases.reduce(0) { $0 + block[$1].parameterCount }
        }
    }
}
