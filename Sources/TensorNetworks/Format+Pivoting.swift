// Every bond of dimension r carries r² values that say nothing: X·X⁻¹ may be put on it for any invertible X.
// Choosing X so that r rows of the tensor on one side become the identity spends that freedom on values
// that need not be stored.

extension Format {
    /// One tensor of a network, seen from the bond on its last axis.
    struct GaugeFixedPart {
        /// As it is without its gauge fixed.
        let part: Part
        /// Whether `rank` of its rows are the identity.
        let isFixed: Bool

        /// Extents of the tensor unfolded to `[rows, rank]`.
        var rows: Int { part.shape.dropLast().reduce(1, *) }
        var rank: Int { part.shape.last ?? 1 }

        /// The rows that are not the identity's, `[rows − rank, rank]`, and the numbers of those that are.
        var stored: [Part] {
            guard isFixed else { return [part] }
            return [
                Part(part.name, [rows - rank, rank]),
                Part("\(part.name).pivots", [rank], isIndex: true),
            ]
        }
    }

    /// The tensors of a network of this format, and which of them hold an identity once it is pivoted.
    func gaugeFixedParts(rows: Int, columns: Int) throws(FormatError) -> [GaugeFixedPart] {
        let parts = try parts(rows: rows, columns: columns)
        return parts.enumerated().map { index, part in
            GaugeFixedPart(part: part, isFixed: holdsIdentity(index, of: parts.count))
        }
    }

    /// Cores pass their gauge to the next one and factors theirs to the core, which are stored whole. The
    /// bond that closes a ring is left as it is: its gauge would multiply both ends of the chain, a
    /// similarity, and no choice of X makes rows of one end the identity without undoing the other's.
    private func holdsIdentity(_ index: Int, of count: Int) -> Bool {
        switch self {
        case .tensorTrain, .tensorRing: index < count - 1
        case .tucker: index > 0
        case .blockTerm(_, let ranks, _): !index.isMultiple(of: ranks.count + 1)
        case .dense, .lowRank, .pivotedLowRank, .pivoted, .mixture: false
        }
    }

    /// The same network without its gauge fixed: what is fitted before it is pivoted.
    package var unpivoted: Format {
        switch self {
        case .pivotedLowRank(let rank): .lowRank(rank: rank)
        case .pivoted(let inner): inner
        case .mixture(let formats): .mixture(formats.map(\.unpivoted))
        case .dense, .lowRank, .tucker, .tensorTrain, .tensorRing, .blockTerm: self
        }
    }
}

extension Format.Kind {
    /// The kind of `.pivoted` networks of this one; `nil` where there is none.
    var withFixedGauge: Format.Kind? {
        switch self {
        case .tucker: .pivotedTucker
        case .tensorTrain: .pivotedTensorTrain
        case .tensorRing: .pivotedTensorRing
        case .blockTerm: .pivotedBlockTerm
        case .dense, .lowRank, .pivotedLowRank, .pivotedTucker, .pivotedTensorTrain,
            .pivotedTensorRing, .pivotedBlockTerm, .mixture:
            nil
        }
    }
}
