import Tensors

/// Low-rank matrices Ŵᵢ = Uᵢ·V with one input factor V for all of them, such that
/// Σᵢ E‖L_Gᵢᵀ(yᵢ − Ŵᵢ·x̂)‖² is least: query, key and value of a block, or one projection of neighbouring
/// blocks (Basis Sharing, arXiv 2410.03765), whose inputs then have one moment, the mean of theirs.
///
/// With Tᵢ the targets, Â = L·Lᵀ and V_k the leading right singular vectors of the stack of L_Gᵢᵀ·Tᵢ·L, the
/// optimum is Uᵢ = Tᵢ·L·V_k and V = V_kᵀ·L⁻¹: one eigenproblem of the inputs' side, in which the output
/// moments occur only as Σᵢ Tᵢᵀ·Gᵢ·Tᵢ.
package struct SharedInputFit {
    /// Uᵢ `[rows, rank]` and the common V `[rank, columns]`, float64.
    package let pairs: [LowRank]
    let objectives: [FitObjective]

    /// - Parameters:
    ///   - objectives: of one input moment; each is weighted by what its output moment's scale was.
    ///   - rank: at most the number of rows of each.
    package init(_ objectives: [FitObjective], rank: Int) throws {
        precondition(!objectives.isEmpty, "a fit has an objective")
        let columns = objectives[0].columns
        for objective in objectives {
            precondition(
                objective.input === objectives[0].input, "matrices of one fit read one moment")
            do {
                try Format.lowRank(rank: rank).validate(rows: objective.rows, columns: columns)
            } catch {
                throw NetworkError.format(error)
            }
        }
        let factor = try objectives[0].input.factor()
        var gram = try Tensor.zeros([columns, columns], .float64, on: objectives[0].target.device)
        for objective in objectives {
            let right = try objective.weightedByOutput(objective.target)
            gram = try gram + objective.target.transposed().matmul(right)
        }
        gram = try factor.congruent(gram)
        let vectors = try ((gram + gram.transposed()) * 0.5).symmetricEigen().vectors
            .narrowed(1, columns - rank..<columns).flipped(1)
        let rotation = try factor.matrix().matmul(vectors)
        let stack = try LowRank(
            output: Tensor.concatenated(
                objectives.map { try $0.target.matmul(rotation) }, along: 0),
            input: factor.solving(vectors.transposed())
        ).balanced()
        self.objectives = objectives
        pairs = try Self.split(stack, objectives)
    }

    /// The same with values stored as `type`: the output factors are rounded, and the common input factor
    /// is fitted anew to them before it is rounded itself, V = (Σ UᵢᵀGᵢUᵢ)⁻¹·Σ UᵢᵀGᵢTᵢ.
    package func stored(as type: ElementType) throws -> [LowRank] {
        let outputs = try pairs.map { try $0.output.converted(to: type).contiguous() }
        var (gram, right): (Tensor?, Tensor?) = (nil, nil)
        for (output, objective) in zip(outputs, objectives) {
            let u = try output.converted(to: .float64)
            let weighted = try objective.weightedByOutput(u).transposed()
            let (square, aim) = (
                try weighted.matmul(u), try weighted.matmul(objective.target)
            )
            gram = try gram.map { try $0 + square } ?? square
            right = try right.map { try $0 + aim } ?? aim
        }
        guard let gram, let right else { preconditionFailure("a fit has an objective") }
        // Factors that lost rank to rounding have no unique partner: then the fitted one stays.
        let input: Tensor
        if type != .float64, let lower = try gram.cholesky() {
            input = try lower.transposed().solveTriangular(
                lower.solveTriangular(right, upper: false), upper: true)
        } else {
            input = pairs[0].input
        }
        let stored = try input.converted(to: type).contiguous()
        return try outputs.map { try LowRank(output: $0, input: stored) }
    }

    private static func split(
        _ stack: LowRank, _ objectives: [FitObjective]
    ) throws -> [LowRank] {
        var start = 0
        return try objectives.map { objective in
            defer { start += objective.rows }
            let output = try stack.output.narrowed(0, start..<start + objective.rows)
            return try LowRank(output: output.contiguous(), input: stack.input)
        }
    }
}

extension FitObjective {
    /// G·x for x `[rows, …]`, with G as it was before it was scaled: objectives that are summed up must
    /// keep their proportions.
    fileprivate func weightedByOutput(_ x: Tensor) throws -> Tensor {
        try output.map { try $0.matrix.matmul(x) * $0.scale } ?? x
    }
}
