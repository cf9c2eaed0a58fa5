import Tensors

extension Factorization {
    /// The same network with its values stored as `type`.
    ///
    /// A low-rank pair is not rounded blindly: once the output factor U is rounded, the input factor is
    /// fitted anew to it before it is rounded itself, V = (UᵀGU)⁻¹UᵀG·T, the minimiser of
    /// ‖L_Gᵀ(T − U·V)L‖ for a given U, in which L does not occur. So only one of the two roundings is
    /// left in the result.
    package func stored(as type: ElementType, for objective: FitObjective) throws -> Factorization {
        guard type != .float64, case .lowRank(let pair) = self else {
            return try mapTensors { try $0.converted(to: type) }
        }
        let output = try pair.output.converted(to: type)
        let u = try output.converted(to: .float64)
        let weighted = try objective.output.map { try $0.matrix.matmul(u) } ?? u
        let gram = try u.transposed().matmul(weighted)
        // A factor that lost rank to rounding has no unique partner: then the fitted one stays.
        guard let lower = try gram.cholesky() else {
            return try mapTensors { try $0.converted(to: type) }
        }
        let right = try weighted.transposed().matmul(objective.target)
        let input = try lower.transposed().solveTriangular(
            lower.solveTriangular(right, upper: false), upper: true)
        return .lowRank(
            try LowRank(output: output, input: input.converted(to: type).contiguous()))
    }
}
