// A network is multiplied with activations one tensor at a time. Modes have names: those of a tensor that the activations
// have too are summed over, its others take their place. Between two tensors the activations lie so that the terms of the
// next sum stand one behind the other.
import TensorNetworks
import Tensors

/// y = x · Wᵀ as a chain of products of matrices, each with columns of activations. Says nothing of where it runs.
struct ContractionPlan {
    struct Step {
        /// `[rows, terms]`, then zeros up to a multiple of 8 columns.
        let matrix: Tensor
        let rows: Int
        let terms: Int
        /// Where a sequence's columns begin, of its values.
        let inputColumns: [Int32]
        /// Where a column's terms stand, from there; `nil` if one behind the other, columns at multiples of 8.
        let inputTerms: [Int32]?
        /// Where results go: a row's place plus a column's.
        let outputRows: [Int32]
        let outputColumns: [Int32]
        /// Values of a sequence.
        let inputWidth: Int
        let outputWidth: Int

        var columns: Int { inputColumns.count }

        /// Whether eight rows in turn go to eight places in turn.
        var isWide: Bool {
            rows % 8 == 0 && outputColumns.allSatisfy { $0 % 8 == 0 }
                && outputRows.indices.allSatisfy {
                    $0 % 8 == 0
                        ? outputRows[$0] % 8 == 0 : outputRows[$0] == outputRows[$0 - 1] + 1
                }
        }
    }

    let rows: Int
    let columns: Int
    let steps: [Step]

    /// - Returns: `nil` for pairs, which have a kernel of their own, and sums of others.
    init?(_ network: Factorization) throws {
        (rows, columns) = (network.rows, network.columns)
        let chain: Chain
        switch network {
        case .tensorTrain(let train):
            chain = try Self.cheapest(
                Self.routes(train.cores), train.modes, width: network.columns)
        case .tensorRing(let ring):
            chain = try Self.cheapest(
                Self.routes(ring.cores), ring.modes, width: network.columns)
        case .tucker(let tucker):
            chain = Chain(Self.factors(tucker), tucker.modes)
        case .lowRank, .pivotedLowRank, .blockTerm, .pivoted, .mixture:
            return nil
        }
        steps = try chain.steps(rows: rows, width: columns)
    }

    // MARK: Networks as tensors with names

    enum Mode: Hashable {
        case input(Int), output(Int), bond(Int)
    }

    struct NamedTensor {
        let tensor: Tensor
        let modes: [Mode]
    }

    /// Cores from any place on, both ways around.
    private static func routes(_ cores: [Tensor]) throws -> [[NamedTensor]] {
        let count = cores.count
        guard count > 1 else {
            // Its bonds close on itself.
            let shape = cores[0].shape
            let matrix = try cores[0].permuted([1, 2, 0, 3]).diagonal().sum(-1)
                .reshaped([shape[1], shape[2]])
            return [[NamedTensor(tensor: matrix, modes: [.output(0), .input(0)])]]
        }
        let named = cores.enumerated().map { index, core in
            NamedTensor(
                tensor: core,
                modes: [.bond(index), .output(index), .input(index), .bond((index + 1) % count)])
        }
        // A train's outer bond is 1 wide, whatever stands between its ends.
        return named.indices.flatMap { start in
            [1, count - 1].map { step in
                (0..<count).map { named[(start + $0 * step) % count] }
            }
        }
    }

    private static func factors(_ tucker: Tucker) -> [NamedTensor] {
        let order = tucker.modes.output.count
        let names = tucker.factors.indices.map { index in
            index < order ? Mode.output(index) : Mode.input(index - order)
        }
        func factor(_ index: Int) -> NamedTensor {
            NamedTensor(tensor: tucker.factors[index], modes: [names[index], .bond(index)])
        }
        return (order..<names.count).reversed().map(factor)
            + [NamedTensor(tensor: tucker.core, modes: names.indices.map { .bond($0) })]
            + (0..<order).reversed().map(factor)
    }

    private static func cheapest(
        _ routes: [[NamedTensor]], _ modes: TensorModes, width: Int
    ) throws -> Chain {
        let chains = routes.map { Chain($0, modes) }
        guard let best = chains.min(by: { $0.cost(width: width) < $1.cost(width: width) }) else {
            preconditionFailure("a network has tensors")
        }
        return best
    }
}
