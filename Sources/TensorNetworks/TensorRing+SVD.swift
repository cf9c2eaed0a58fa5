import Tensors

// TR-SVD, Zhao et al. (2016, arXiv 1606.05535) algorithm 1: the first unfolding's singular vectors are shared
// out over the closing bond and the first one, and the rest is a train. With two cores that is the
// optimum, because a two-core ring is a matrix of rank rank₀·rank₁ in that unfolding.

extension TensorRing {
    /// A ring of the given ranks near `matrix`, in the plain norm.
    /// - Parameter matrix: `[rows, columns]`.
    package static func decomposing(
        _ matrix: Tensor, modes: TensorModes, ranks: [Int]
    ) throws -> TensorRing {
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        do {
            try Format.tensorRing(modes, ranks: ranks).validate(rows: rows, columns: columns)
        } catch {
            throw NetworkError.format(error)
        }
        let count = modes.output.count
        let pairs = zip(modes.output, modes.input).map { $0 * $1 }
        let tensor = try modes.interleaved(matrix)
        guard count > 1 else {
            // tr over a bond of rank r repeats the diagonal r times: the matrix goes into one entry.
            let corner = try tensor.reshaped([1, modes.output[0], modes.input[0], 1])
                .padded([ranks[0] - 1, 0, 0, ranks[0] - 1])
            return try TensorRing(modes: modes, rows: rows, columns: columns, cores: [corner])
        }
        let closing = ranks[0]
        var (left, right) = try split(tensor.reshaped([pairs[0], -1]), closing * ranks[1])
        // [pair, closing, next] → [closing, pair, next]; [closing, next, tail] → [next, tail, closing]
        var cores = [
            try left.reshaped([modes.output[0], modes.input[0], closing, ranks[1]])
                .permuted([2, 0, 1, 3])
        ]
        var rest = try right.reshaped([closing, ranks[1], -1]).permuted([1, 2, 0])
        for mode in 1..<count - 1 {
            (left, right) = try split(
                rest.reshaped([ranks[mode] * pairs[mode], -1]), ranks[mode + 1])
            cores.append(
                try left.reshaped([ranks[mode], modes.output[mode], modes.input[mode], -1]))
            rest = right
        }
        cores.append(
            try rest.reshaped([-1, modes.output[count - 1], modes.input[count - 1], closing]))
        return try TensorRing(
            modes: modes, rows: rows, columns: columns, cores: cores.map { try $0.contiguous() })
    }

    private static func split(_ unfolding: Tensor, _ rank: Int) throws -> (Tensor, Tensor) {
        let possible = min(rank, unfolding.shape[0], unfolding.shape[1])
        let (basis, rest) = try unfolding.truncated(possible)
        let (left, right) = try basis.balancing(rest)
        let missing = rank - possible
        return missing == 0
            ? (left, right) : (try left.padded([missing]), try right.padded([0, missing]))
    }
}
