import Artifacts

/// The linear layers of a decoder block, by their names within it in a checkpoint.
package enum Projection: String, CaseIterable, Codable, Sendable {
    case query = "self_attn.q_proj"
    case key = "self_attn.k_proj"
    case value = "self_attn.v_proj"
    case output = "self_attn.o_proj"
    case gate = "mlp.gate_proj"
    case up = "mlp.up_proj"
    case down = "mlp.down_proj"

    /// The activation that the layer reads; layers that read the same one share their input moments.
    package enum Input: String, CaseIterable, Sendable {
        /// The normalised hidden state: query, key and value.
        case attention
        /// What attention returns: output.
        case attended
        /// The normalised hidden state after attention: gate and up.
        case feedForward = "feed_forward"
        /// silu(gate) · up: down.
        case gated

        package var projections: [Projection] {
            Projection.allCases.filter { $0.input == self }
        }
    }

    package var input: Input {
        switch self {
        case .query, .key, .value: .attention
        case .output: .attended
        case .gate, .up: .feedForward
        case .down: .gated
        }
    }
}

extension ModelConfiguration {
    /// The module of a projection, with its name and size.
    package func module(_ projection: Projection, ofLayer layer: Int) -> LinearModule {
        let name = DecoderBlock.prefix(layer) + projection.rawValue
        guard let module = linearModules(ofLayer: layer).first(where: { $0.name == name }) else {
            preconditionFailure("\(name) is not among the modules of a layer")
        }
        return module
    }
}
