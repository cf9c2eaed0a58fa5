import Tensors

// TT-SVD, Oseledets (2011) algorithm 1, on the tensor whose mode k is the pair (output[k], input[k]).

extension TensorTrain {
    /// The train of the given inner ranks nearest to `matrix` up to a factor √(cores − 1), in the plain
    /// norm.
    /// - Parameter matrix: `[rows, columns]`.
    package static func decomposing(
        _ matrix: Tensor, modes: TensorModes, ranks: [Int]
    ) throws -> TensorTrain {
        let shape = matrix.shape
        do {
            try Format.tensorTrain(modes, ranks: ranks).validate(rows: shape[0], columns: shape[1])
        } catch {
            throw NetworkError.format(error)
        }
        return try decomposing(matrix, modes) { unfolding, bond in
            // Where the bonds before are thin, the unfolding may have less rank than is asked for.
            let possible = min(ranks[bond], unfolding.shape[0], unfolding.shape[1])
            let (basis, rest) = try unfolding.truncated(possible)
            let (left, right) = try basis.balancing(rest)
            let missing = ranks[bond] - possible
            return missing == 0
                ? (left, right) : (try left.padded([missing]), try right.padded([0, missing]))
        }
    }

    /// The train of least ranks whose relative error in the plain norm is at most `relativeError`.
    ///
    /// Truncating each unfolding at δ = ε‖W‖/√(cores − 1) bounds the total by ε; the tests assert it.
    package static func decomposing(
        _ matrix: Tensor, modes: TensorModes, relativeError: Double
    ) throws -> TensorTrain {
        let norm = try matrix.norm().scalar()
        let bonds = Double(max(1, modes.output.count - 1))
        let threshold = relativeError * norm / bonds.squareRoot()
        return try decomposing(matrix, modes) { unfolding, _ in
            let (u, s, vt) = try unfolding.svd()
            let values = try s.elements(as: Double.self)
            var (rank, tail) = (values.count, 0.0)
            while rank > 1, tail + values[rank - 1] * values[rank - 1] <= threshold * threshold {
                rank -= 1
                tail += values[rank] * values[rank]
            }
            let kept = 0..<rank
            return (
                try u.narrowed(1, kept),
                try vt.narrowed(0, kept) * s.narrowed(0, kept).unsqueezed(1)
            )
        }
    }

    private static func decomposing(
        _ matrix: Tensor, _ modes: TensorModes,
        _ split: (_ unfolding: Tensor, _ bond: Int) throws -> (left: Tensor, right: Tensor)
    ) throws -> TensorTrain {
        let count = modes.output.count
        var rest = try modes.interleaved(matrix)
        var (cores, rank): ([Tensor], Int) = ([], 1)
        for mode in 0..<count - 1 {
            let pair = modes.output[mode] * modes.input[mode]
            let (left, right) = try split(rest.reshaped([rank * pair, -1]), mode)
            let next = left.shape[1]
            cores.append(
                try left.reshaped([rank, modes.output[mode], modes.input[mode], next]).contiguous())
            (rest, rank) = (right, next)
        }
        cores.append(
            try rest.reshaped([rank, modes.output[count - 1], modes.input[count - 1], 1])
                .contiguous())
        return try TensorTrain(
            modes: modes, rows: matrix.shape[0], columns: matrix.shape[1], cores: cores)
    }
}

extension TensorModes {
    /// W `[rows, columns]`, padded, as the tensor `[output₁, input₁, output₂, input₂, …]`.
    func interleaved(_ matrix: Tensor) throws -> Tensor {
        let count = output.count
        return try paddedMatrix(matrix).reshaped(output + input)
            .permuted((0..<count).flatMap { [$0, count + $0] })
    }
}
