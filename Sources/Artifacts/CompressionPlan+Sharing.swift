import TensorNetworks

/// Matrices that share one input factor: the leader stores it, the others name the leader.
extension CompressionPlan {
    /// The matrices of every shared factor, leaders first, in the plan's order.
    package var sharedInputs: [[MatrixPlan]] {
        var followers: [String: [MatrixPlan]] = [:]
        for matrix in matrices {
            guard let leader = matrix.patches.first?.sharesInputOf else { continue }
            followers[leader, default: []].append(matrix)
        }
        return matrices.compactMap { leader in followers[leader.name].map { [leader] + $0 } }
    }

    func validateSharing() throws(ManifestError) {
        let named = Dictionary(
            matrices.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for matrix in matrices {
            for patch in matrix.patches {
                guard let leader = patch.sharesInputOf else { continue }
                func fault(_ problem: String) -> ManifestError {
                    .sharing(matrix: matrix.name, with: leader, problem: problem)
                }
                guard leader != matrix.name else { throw fault("is the matrix itself") }
                guard let other = named[leader] else { throw fault("is not in the plan") }
                guard matrix.patches.count == 1, other.patches.count == 1,
                    let theirs = other.patches.first
                else { throw fault("must not be cut into patches, and neither must it") }
                guard theirs.sharesInputOf == nil else { throw fault("shares another's itself") }
                guard patch.format.kind == .lowRank, patch.format == theirs.format else {
                    throw fault("is not of equal low rank")
                }
                guard matrix.columns == other.columns else {
                    throw fault("reads \(other.columns) inputs, not \(matrix.columns)")
                }
                guard patch.elementType == theirs.elementType else {
                    throw fault("is stored as \(theirs.elementType.rawValue)")
                }
            }
        }
    }
}
