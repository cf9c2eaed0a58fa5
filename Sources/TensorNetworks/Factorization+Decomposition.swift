import Tensors

extension Factorization {
    /// The network of `format` near `matrix` in the plain (Frobenius) norm, float64: what the weighted fit
    /// starts from and is measured against.
    ///
    /// Truncated SVD, TT-SVD, TR-SVD, HOSVD with HOOI; sums term by term on the residual.
    /// - Parameter matrix: `[rows, columns]`.
    package static func decomposing(_ matrix: Tensor, format: Format) throws -> Factorization {
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        do {
            try format.validate(rows: rows, columns: columns)
        } catch {
            throw NetworkError.format(error)
        }
        let matrix = try matrix.detached().converted(to: .float64)
        switch format {
        case .dense:
            throw NetworkError.denseFormat
        case .lowRank(let rank):
            return .lowRank(try lowRank(matrix, rank))
        case .pivotedLowRank(let rank):
            return .pivotedLowRank(try lowRank(matrix, rank).pivoted())
        case .tucker(let modes, let ranks):
            return .tucker(try .decomposing(matrix, modes: modes, ranks: ranks))
        case .tensorTrain(let modes, let ranks):
            return .tensorTrain(try .decomposing(matrix, modes: modes, ranks: ranks))
        case .tensorRing(let modes, let ranks):
            return .tensorRing(try .decomposing(matrix, modes: modes, ranks: ranks))
        case .blockTerm(let modes, let ranks, let count):
            var (rest, terms): (Tensor, [Tucker]) = (matrix, [])
            for _ in 0..<count {
                let term = try Tucker.decomposing(rest, modes: modes, ranks: ranks)
                terms.append(term)
                rest = try rest - term.reconstructed()
            }
            return .blockTerm(try BlockTerm(terms: terms))
        case .pivoted(let inner):
            return try decomposing(matrix, format: inner).pivoted()
        case .mixture(let formats):
            var (rest, terms): (Tensor, [Factorization]) = (matrix, [])
            for format in formats {
                let term = try decomposing(rest, format: format)
                terms.append(term)
                rest = try rest - term.reconstructed()
            }
            return .mixture(try Mixture(terms: terms))
        }
    }

    private static func lowRank(_ matrix: Tensor, _ rank: Int) throws -> LowRank {
        let (basis, rest) = try matrix.truncated(rank)
        return try LowRank(output: basis, input: rest).balanced()
    }
}
