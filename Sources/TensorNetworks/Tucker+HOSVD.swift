import Tensors

// HOSVD (De Lathauwer et al., 2000): each factor spans the leading singular vectors of its mode's
// unfolding; the squared error is at most the sum over the modes of what each truncation discards. HOOI
// then re-fits each factor with the others fixed, which never raises the error.

extension Tucker {
    /// A Tucker network of the given ranks near `matrix`, in the plain norm, with orthonormal factors.
    /// - Parameters:
    ///   - matrix: `[rows, columns]`.
    ///   - sweeps: HOOI sweeps after the HOSVD.
    package static func decomposing(
        _ matrix: Tensor, modes: TensorModes, ranks: [Int], sweeps: Int = 3
    ) throws -> Tucker {
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        do {
            try Format.tucker(modes, ranks: ranks).validate(rows: rows, columns: columns)
        } catch {
            throw NetworkError.format(error)
        }
        let tensor = try modes.paddedMatrix(matrix).reshaped(modes.output + modes.input)
        var factors = try ranks.enumerated().map { axis, rank in
            try leading(rank, of: tensor.unfolded(axis))
        }
        func projected(except kept: Int?) throws -> Tensor {
            var result = tensor
            for (axis, factor) in factors.enumerated() where axis != kept {
                result = try result.contracted(axis: axis, with: factor)
            }
            return result
        }
        for _ in 0..<sweeps {
            for (axis, rank) in ranks.enumerated() where rank < tensor.shape[axis] {
                factors[axis] = try leading(rank, of: projected(except: axis).unfolded(axis))
            }
        }
        return try Tucker(
            modes: modes, rows: rows, columns: columns,
            core: projected(except: nil).contiguous(),
            factors: factors.map { try $0.contiguous() })
    }

    /// The leading left singular vectors, completed to an orthonormal set where the unfolding has
    /// fewer columns than `rank`.
    private static func leading(_ rank: Int, of unfolding: Tensor) throws -> Tensor {
        let rows = unfolding.shape[0]
        let gram = try unfolding.matmul(unfolding.transposed())
        return try gram.symmetricEigen().vectors.narrowed(1, rows - rank..<rows).flipped(1)
    }
}
