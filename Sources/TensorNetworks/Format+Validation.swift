/// A format that cannot represent a matrix.
package enum FormatError: Error, Equatable, CustomStringConvertible {
    case size(rows: Int, columns: Int)
    case rank(Int, of: Format.Kind, limit: Int)
    case rankCount(found: Int, expected: Int, of: Format.Kind)
    case modeCount(output: Int, input: Int)
    case mode(Int)
    case modeProduct([Int], covers: Int)
    case terms(Int)
    case nestedMixture
    /// A format of this kind has no bonds whose gauge `pivoted` could fix.
    case notPivotable(Format.Kind)

    package var description: String {
        switch self {
        case .size(let rows, let columns):
            "no format represents a \(rows)×\(columns) matrix"
        case .rank(let rank, let kind, let limit):
            "rank \(rank) of a \(kind.rawValue) format is outside 1…\(limit)"
        case .rankCount(let found, let expected, let kind):
            "a \(kind.rawValue) format with these modes takes \(expected) ranks, not \(found)"
        case .modeCount(let output, let input):
            "\(output) output modes do not pair with \(input) input modes"
        case .mode(let mode):
            "mode \(mode) is outside 1…\(Format.largestSide)"
        case .modeProduct(let modes, let size):
            "modes \(modes) do not cover \(size) with at most \(TensorModes.paddingLimit * 100)% padding"
        case .terms(let terms):
            "a sum of \(terms) terms is outside 1…\(Format.mostTerms)"
        case .nestedMixture:
            "a mixture holds neither mixtures nor dense matrices"
        case .notPivotable(let kind):
            "a \(kind.rawValue) format is not one that can be pivoted: those are tucker, tensor-train, tensor-ring and block-term"
        }
    }
}

extension TensorModes {
    /// Share by which modes may exceed the matrix that they cover.
    package static let paddingLimit = 0.125
}

extension Format {
    /// Longest side of a matrix and largest mode; keeps every product of four well inside `Int`.
    package static let largestSide = 1 << 24
    /// Most terms of a sum, most cores of a chain.
    package static let mostTerms = 64

    /// Checks that the format can represent a `[rows, columns]` matrix, without allocating anything.
    package func validate(rows: Int, columns: Int) throws(FormatError) {
        let sides = 1...Self.largestSide
        guard sides.contains(rows), sides.contains(columns) else {
            throw .size(rows: rows, columns: columns)
        }
        switch self {
        case .dense:
            break
        case .lowRank(let rank), .pivotedLowRank(let rank):
            try check(rank, limit: min(rows, columns))
        case .tucker(let modes, let ranks):
            try validateTucker(modes, ranks, rows, columns)
        case .blockTerm(let modes, let ranks, let terms):
            guard (1...Self.mostTerms).contains(terms) else { throw .terms(terms) }
            try validateTucker(modes, ranks, rows, columns)
        case .tensorTrain(let modes, let ranks):
            try modes.validate(rows: rows, columns: columns)
            try check(ranks, count: modes.output.count - 1)
            for (bond, rank) in ranks.enumerated() {
                try check(rank, limit: modes.largestRank(after: bond))
            }
        case .tensorRing(let modes, let ranks):
            try modes.validate(rows: rows, columns: columns)
            try check(ranks, count: modes.output.count)
            for (k, rank) in ranks.enumerated() {
                try check(rank, limit: min(modes.rows, modes.columns))
                // A core larger than the matrix is absurd, and its size must not overflow.
                let core = [rank, modes.output[k], modes.input[k], ranks[(k + 1) % ranks.count]]
                guard productIfBelow(core, limit: modes.rows * modes.columns) != nil else {
                    throw .rank(rank, of: kind, limit: min(modes.rows, modes.columns))
                }
            }
        case .pivoted(let inner):
            guard inner.kind.withFixedGauge != nil else { throw .notPivotable(inner.kind) }
            for part in try inner.gaugeFixedParts(rows: rows, columns: columns) where part.isFixed {
                try check(part.rank, limit: part.rows)
            }
        case .mixture(let formats):
            guard (1...Self.mostTerms).contains(formats.count) else { throw .terms(formats.count) }
            for format in formats {
                switch format {
                case .mixture, .dense: throw .nestedMixture
                default: try format.validate(rows: rows, columns: columns)
                }
            }
        }
    }

    private func validateTucker(
        _ modes: TensorModes, _ ranks: [Int], _ rows: Int, _ columns: Int
    ) throws(FormatError) {
        try modes.validate(rows: rows, columns: columns)
        let all = modes.output + modes.input
        try check(ranks, count: all.count)
        for (mode, rank) in zip(all, ranks) { try check(rank, limit: mode) }
        // A core larger than the matrix is absurd, and its size must not overflow.
        guard let core = productIfBelow(ranks, limit: modes.rows * modes.columns), core > 0 else {
            throw .rank(ranks.max() ?? 0, of: kind, limit: modes.rows * modes.columns)
        }
    }

    private func check(_ ranks: [Int], count: Int) throws(FormatError) {
        guard ranks.count == count else {
            throw .rankCount(found: ranks.count, expected: count, of: kind)
        }
    }

    private func check(_ rank: Int, limit: Int) throws(FormatError) {
        guard rank >= 1, rank <= limit else { throw .rank(rank, of: kind, limit: limit) }
    }
}

extension TensorModes {
    /// Largest useful rank of the bond after core `bond` of a train.
    package func largestRank(after bond: Int) -> Int {
        func product(_ range: Range<Int>) -> Int {
            range.reduce(1) { $0 * output[$1] * input[$1] }
        }
        return min(product(0..<bond + 1), product(bond + 1..<output.count))
    }

    func validate(rows: Int, columns: Int) throws(FormatError) {
        guard output.count == input.count, (1...Format.mostTerms).contains(output.count) else {
            throw .modeCount(output: output.count, input: input.count)
        }
        for mode in output + input where !(1...Format.largestSide).contains(mode) {
            throw .mode(mode)
        }
        for (modes, size) in [(output, rows), (input, columns)] {
            let limit = size + Int(Double(size) * Self.paddingLimit) + 1
            guard let covered = productIfBelow(modes, limit: limit), covered >= size else {
                throw .modeProduct(modes, covers: size)
            }
        }
    }
}

/// The product, or `nil` once it exceeds `limit`.
private func productIfBelow(_ factors: [Int], limit: Int) -> Int? {
    var product = 1
    for factor in factors {
        let (next, overflow) = product.multipliedReportingOverflow(by: factor)
        guard !overflow, next <= limit else { return nil }
        product = next
    }
    return product
}
