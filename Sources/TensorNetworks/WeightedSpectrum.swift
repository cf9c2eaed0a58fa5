import Tensors

/// The singular values of M = L_Gᵀ·T·L and the vectors of one side: all that a closed-form low-rank
/// fit of any rank needs, at the price of one symmetric eigenproblem of the matrix's smaller side.
///
/// The optimum is Ŵ = L_G⁻ᵀ·SVD_k(M)·L⁻¹. With U_k the leading left vectors SVD_k(M) = U_kU_kᵀM, so
/// Ŵ = L_G⁻ᵀ·U_k · U_kᵀ·L_Gᵀ·T, in which L occurs only through M·Mᵀ = L_Gᵀ·T·Â·Tᵀ·L_G: no factor of Â is
/// needed, and none at all where G = I. With the right vectors the same holds for G. Forming M·Mᵀ
/// squares the condition number, which costs the loss nothing beyond rounding of its total.
package struct WeightedSpectrum {
    /// Squared singular values of M, descending; the relative error of rank k is the sum after the
    /// k-th over the sum of all, plus the objective's floor.
    package let energies: [Double]

    private let objective: FitObjective
    /// Eigenvectors as columns, in ascending order of eigenvalue.
    private let vectors: Tensor
    private let isLeft: Bool

    package init(of objective: FitObjective) throws {
        self.objective = objective
        isLeft = Self.isLeft(objective)
        let (values, vectors) = try Self.gram(objective).symmetricEigen()
        self.vectors = vectors
        energies = try Self.descending(values)
    }

    /// The energies alone, for a price: a fraction of the work.
    package static func energies(of objective: FitObjective) throws -> [Double] {
        try descending(gram(objective).symmetricEigenvalues())
    }

    private static func descending(_ values: Tensor) throws -> [Double] {
        try values.elements(as: Double.self).reversed().map { max(0, $0) }
    }

    /// Whether the side of the outputs is the smaller one.
    private static func isLeft(_ objective: FitObjective) -> Bool {
        objective.rows <= objective.columns
    }

    /// M·Mᵀ or Mᵀ·M, symmetric to the last bit.
    private static func gram(_ objective: FitObjective) throws -> Tensor {
        let (target, metric) = (objective.target, objective.metric)
        var gram: Tensor
        if isLeft(objective) {
            gram = try target.matmul(metric.input).matmul(target.transposed())
            if let factor = try objective.output?.factor() {
                gram = try factor.congruent(gram)
            }
        } else {
            let right = try metric.output.map { try $0.matmul(target) } ?? target
            gram = try objective.input.factor().congruent(target.transposed().matmul(right))
        }
        return try (gram + gram.transposed()) * 0.5
    }

    /// The best fit of rank `rank`, its two factors balanced.
    package func lowRank(_ rank: Int) throws -> LowRank {
        let limit = energies.count
        guard (1...limit).contains(rank) else {
            throw NetworkError.format(.rank(rank, of: .lowRank, limit: limit))
        }
        let leading = try vectors.narrowed(1, limit - rank..<limit).flipped(1)
        let target = objective.target
        var (output, input): (Tensor, Tensor)
        if isLeft {
            let rowsOfU = try leading.transposed()
            if let factor = try objective.output?.factor() {
                output = try factor.solving(rowsOfU).transposed()
                input = try rowsOfU.matmul(factor.matrix().transposed()).matmul(target)
            } else {
                output = leading
                input = try rowsOfU.matmul(target)
            }
        } else {
            let factor = try objective.input.factor()
            output = try target.matmul(factor.matrix().matmul(leading))
            input = try factor.solving(leading.transposed())
        }
        return try LowRank(output: output, input: input).balanced()
    }
}

extension LowRank {
    /// Scales each column of `output` and row of `input` to one norm, so that both survive rounding to
    /// few bits alike.
    func balanced() throws -> LowRank {
        let columns = try output.norm(0)
        let rows = try input.norm(1)
        let ratio = try (rows / columns.clamped(Double.leastNormalMagnitude...Double.infinity))
            .squareRoot()
        // A term that vanishes on one side vanishes: leave it as it is.
        let vanishes = try columns.equals(0).or(rows.equals(0)).or(ratio.finite().logicalNot())
        let scale = try ratio.filled(where: vanishes, with: 1)
        return try LowRank(
            output: (output * scale).contiguous(),
            input: (input / scale.unsqueezed(1)).contiguous())
    }
}

extension WhiteningFactor {
    /// Lᵀ·x·L for a symmetric x.
    func congruent(_ x: Tensor) throws -> Tensor {
        let factor = try matrix()
        return try factor.transposed().matmul(x.matmul(factor))
    }
}
