import Tensors

// Rows are chosen as `LowRank.pivoted` chooses them: by what they are worth in the whole network. With
// everything beyond the bond unfolded to Z `[rank, …]` = Rᵀ·Qᵀ, the rows of M·Rᵀ have the norms and inner
// products of the rows of M·Z. Where Z has less rank than the bond, rows that differ only in what Z
// annihilates count as equal: the matrix stays the same, the single cores need not.

extension Factorization {
    /// The same matrix, to rounding, with the gauge of every bond fixed, sums term by term; what is pivoted
    /// already stays as it is.
    /// - Throws: where a bond is larger than all that the network has before it.
    package func pivoted() throws -> Factorization {
        switch self {
        case .lowRank(let network):
            return .pivotedLowRank(try network.pivoted())
        case .tensorTrain(let train):
            return try pivoted(CoreChain(cores: train.cores).pivotedParts())
        case .tensorRing(let ring):
            return try pivoted(CoreChain(cores: ring.cores).pivotedParts())
        case .tucker(let network):
            return try pivoted(network.pivotedParts())
        case .blockTerm(let sum):
            return try pivoted(sum.terms.map { try $0.pivotedParts() }.numberedByTerm)
        case .mixture(let sum):
            return .mixture(try Mixture(terms: sum.terms.map { try $0.pivoted() }))
        case .pivotedLowRank, .pivoted:
            return self
        }
    }

    private func pivoted(_ parts: [NamedTensor]) throws -> Factorization {
        let types = Dictionary(
            uniqueKeysWithValues: self.parts.map { ($0.name, $0.tensor.elementType) })
        let tensors = try Dictionary(
            uniqueKeysWithValues: parts.map { name, tensor in
                (name, try types[name].map { try tensor.converted(to: $0) } ?? tensor)
            })
        return .pivoted(
            try Pivoted(format, rows: rows, columns: columns) { name in
                guard let tensor = tensors[name] else {
                    preconditionFailure("pivoting leaves nothing for \(name)")
                }
                return try tensor.contiguous()
            })
    }
}

extension PivotedRows {
    /// What is stored of a tensor whose unfolding they were chosen from.
    fileprivate func parts(_ name: String) throws -> [NamedTensor] {
        [(name, coefficients), ("\(name).pivots", try numbers())]
    }
}

extension CoreChain {
    /// Each core but the last, unfolded to `[left·output·input, right]`, becomes rows of the identity and
    /// coefficients; what it was multiplied by moves into the next.
    fileprivate func pivotedParts() throws -> [NamedTensor] {
        let cores = try cores.map { try $0.converted(to: .float64) }
        for core in cores.dropLast() { try Self.requireRank(core) }
        let weights = try Self.weightsOfBonds(cores)
        var (parts, next): ([NamedTensor], Tensor) = ([], cores[0])
        for (bond, weight) in weights.enumerated() {
            let right = next.shape[3]
            let unfolding = try next.reshaped([-1, right])
            let rows = try PivotedRows(
                of: unfolding.matmul(weight.transposed()), count: right)
            parts += try rows.parts("core.\(bond)")
            let following = cores[bond + 1]
            next = try rows.kept(of: unfolding).matmul(following.reshaped([right, -1]))
                .reshaped(following.shape)
        }
        return parts + [("core.\(cores.count - 1)", next)]
    }

    private static func requireRank(_ core: Tensor) throws(NetworkError) {
        let shape = core.shape
        let rows = shape[0] * shape[1] * shape[2]
        guard shape[3] <= rows else {
            throw .format(.rank(shape[3], of: .pivotedTensorTrain, limit: rows))
        }
    }

    /// R `[≤ rank, rank]` of all that follows each bond but the closing one.
    private static func weightsOfBonds(_ cores: [Tensor]) throws -> [Tensor] {
        let closing = cores[cores.count - 1].shape[3]
        var weight = try Tensor.identity(closing, .float64, on: cores[0].device)
        var weights: [Tensor] = []
        for core in cores.dropFirst().reversed() {
            let shape = core.shape
            let following = try core.reshaped([-1, shape[3]]).matmul(weight.transposed())
                .reshaped([shape[0], -1])
            weight = try following.transposed().qr().r
            weights.append(weight)
        }
        return weights.reversed()
    }
}

extension Tucker {
    /// Each factor `[mode, rank]` becomes rows of the identity and coefficients; what it was multiplied by
    /// moves into the core.
    fileprivate func pivotedParts() throws -> [NamedTensor] {
        let whole = try core.converted(to: .float64)
        let factors = try factors.map { try $0.converted(to: .float64) }
        let triangles = try factors.map { try $0.qr().r.transposed() }
        var (core, parts): (Tensor, [NamedTensor]) = (whole, [])
        for (axis, factor) in factors.enumerated() {
            var others = whole
            for (other, triangle) in triangles.enumerated() where other != axis {
                others = try others.contracted(axis: other, with: triangle)
            }
            let weight = try others.unfolded(axis).transposed().qr().r
            let rows = try PivotedRows(
                of: factor.matmul(weight.transposed()), count: ranks[axis])
            parts += try rows.parts("factor.\(axis)")
            core = try core.contracted(axis: axis, with: rows.kept(of: factor).transposed())
        }
        return [("core", core)] + parts
    }
}
