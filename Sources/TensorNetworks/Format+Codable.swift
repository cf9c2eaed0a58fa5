// The shape that a format has in minima.json and plans, for example
//   {"kind": "tensor-train", "modes": {"output": [64, 80], "input": [64, 80]}, "ranks": [512]}
extension Format: Codable {
    private enum Key: String, CodingKey {
        case kind, rank, ranks, modes, terms, formats
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        func modes() throws -> TensorModes { try values.decode(TensorModes.self, forKey: .modes) }
        func ranks() throws -> [Int] { try values.decode([Int].self, forKey: .ranks) }
        func rank() throws -> Int { try values.decode(Int.self, forKey: .rank) }
        func blockTerm() throws -> Format {
            .blockTerm(
                try modes(), ranks: try ranks(), terms: try values.decode(Int.self, forKey: .terms))
        }
        switch try values.decode(Kind.self, forKey: .kind) {
        case .dense: self = .dense
        case .lowRank: self = .lowRank(rank: try rank())
        case .pivotedLowRank: self = .pivotedLowRank(rank: try rank())
        case .tucker: self = .tucker(try modes(), ranks: try ranks())
        case .tensorTrain: self = .tensorTrain(try modes(), ranks: try ranks())
        case .tensorRing: self = .tensorRing(try modes(), ranks: try ranks())
        case .blockTerm: self = try blockTerm()
        case .pivotedTucker: self = .pivoted(.tucker(try modes(), ranks: try ranks()))
        case .pivotedTensorTrain: self = .pivoted(.tensorTrain(try modes(), ranks: try ranks()))
        case .pivotedTensorRing: self = .pivoted(.tensorRing(try modes(), ranks: try ranks()))
        case .pivotedBlockTerm: self = .pivoted(try blockTerm())
        case .mixture:
            let formats = try values.decode([Format].self, forKey: .formats)
            guard !formats.contains(where: { $0.kind == .mixture }) else {
                throw FormatError.nestedMixture
            }
            self = .mixture(formats)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(kind, forKey: .kind)
        try encodeSizes(into: &values)
    }

    private func encodeSizes(into values: inout KeyedEncodingContainer<Key>) throws {
        switch self {
        case .dense:
            break
        case .lowRank(let rank), .pivotedLowRank(let rank):
            try values.encode(rank, forKey: .rank)
        case .tucker(let modes, let ranks), .tensorTrain(let modes, let ranks),
            .tensorRing(let modes, let ranks):
            try values.encode(modes, forKey: .modes)
            try values.encode(ranks, forKey: .ranks)
        case .blockTerm(let modes, let ranks, let terms):
            try values.encode(modes, forKey: .modes)
            try values.encode(ranks, forKey: .ranks)
            try values.encode(terms, forKey: .terms)
        case .pivoted(let inner):
            guard inner.kind.withFixedGauge != nil else {
                throw FormatError.notPivotable(inner.kind)
            }
            try inner.encodeSizes(into: &values)
        case .mixture(let formats):
            try values.encode(formats, forKey: .formats)
        }
    }
}
