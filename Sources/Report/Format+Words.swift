import TensorNetworks

extension Format.Kind {
    /// As people say it.
    var words: String {
        switch self {
        case .dense: "dense"
        case .lowRank: "low rank"
        case .pivotedLowRank: "pivoted low rank"
        case .tucker: "Tucker"
        case .tensorTrain: "tensor train"
        case .tensorRing: "tensor ring"
        case .blockTerm: "block terms"
        case .mixture: "mixture"
        case .pivotedTucker: "pivoted Tucker"
        case .pivotedTensorTrain: "pivoted tensor train"
        case .pivotedTensorRing: "pivoted tensor ring"
        case .pivotedBlockTerm: "pivoted block terms"
        }
    }

    /// The class of its colour: pivoted networks have that of what they are without.
    var colour: String { "f-\(family)" }

    var family: String {
        switch self {
        case .pivotedTucker: Self.tucker.rawValue
        case .pivotedTensorTrain: Self.tensorTrain.rawValue
        case .pivotedTensorRing: Self.tensorRing.rawValue
        case .pivotedBlockTerm: Self.blockTerm.rawValue
        default: rawValue
        }
    }
}

extension Format {
    /// Its ranks alone.
    var ranks: String {
        switch self {
        case .dense: "dense"
        case .lowRank(let rank), .pivotedLowRank(let rank): "\(rank)"
        case .tucker(_, let ranks), .tensorTrain(_, let ranks), .tensorRing(_, let ranks):
            ranks.map(String.init).joined(separator: "·")
        case .blockTerm(_, let ranks, let terms):
            "\(terms)×" + ranks.map(String.init).joined(separator: "·")
        case .pivoted(let format): format.ranks
        case .mixture(let formats): formats.map(\.ranks).joined(separator: "+")
        }
    }

    /// Kind and ranks.
    var words: String {
        switch self {
        case .dense: "dense"
        case .mixture(let formats): formats.map(\.words).joined(separator: " + ")
        default: "\(kind.words) \(ranks)"
        }
    }
}

extension [Format] {
    /// Those of a matrix's patches.
    var words: String { map(\.words).joined(separator: " | ") }
}
