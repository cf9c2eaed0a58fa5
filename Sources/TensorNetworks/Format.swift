import Tensors

/// How one matrix W `[rows, columns]` (out × in) is represented: the kind of network with its modes
/// and ranks, without any values.
///
/// A format knows the tensors ("parts") that a matrix of given size takes in it, so that readers can
/// check a file and planners can count bytes before anything is allocated.
package indirect enum Format: Hashable, Sendable {
    /// W itself.
    case dense
    /// W = output · input, of rank `rank`.
    case lowRank(rank: Int)
    /// `rank` rows of W kept as they are, the others as combinations of them (PIFA, arXiv 2501.19090).
    case pivotedLowRank(rank: Int)
    /// W reshaped to `[outputModes…, inputModes…]` = core ×₁ factor₁ ×₂ factor₂ …;
    /// one rank per mode, output modes first.
    case tucker(TensorModes, ranks: [Int])
    /// Cores `[rank(k), outputMode(k), inputMode(k), rank(k+1)]`; `ranks` are the inner ones, one
    /// fewer than there are cores, and the outer ones are 1.
    case tensorTrain(TensorModes, ranks: [Int])
    /// Like a train whose last rank closes on the first: as many ranks as cores.
    case tensorRing(TensorModes, ranks: [Int])
    /// A sum of `terms` Tucker networks of equal modes and ranks.
    case blockTerm(TensorModes, ranks: [Int], terms: Int)
    /// A Tucker network, train, ring or block term with the gauge of its bonds fixed: of the tensor on one
    /// side of a bond of rank r, r rows are the identity and are not stored, r² values fewer per bond.
    case pivoted(Format)
    /// A sum of networks of any formats.
    case mixture([Format])
}

/// A split of a matrix's rows and columns into modes: mode k of the tensor is the pair
/// (`output[k]`, `input[k]`).
///
/// The products may exceed the matrix's size, by `TensorModes.paddingLimit` at most; the matrix is
/// then taken as padded with zero rows or columns, which no result ever shows.
package struct TensorModes: Hashable, Sendable, Codable {
    package let output: [Int]
    package let input: [Int]

    package init(output: [Int], input: [Int]) {
        self.output = output
        self.input = input
    }

    package var rows: Int { output.reduce(1, *) }
    package var columns: Int { input.reduce(1, *) }
}

extension Format {
    /// The kind alone, as users name it on the command line and `minima.json` records it.
    package enum Kind: String, CaseIterable, Codable, Sendable {
        case dense
        case lowRank = "low-rank"
        case pivotedLowRank = "pivoted-low-rank"
        case tucker
        case tensorTrain = "tensor-train"
        case tensorRing = "tensor-ring"
        case blockTerm = "block-term"
        case pivotedTucker = "pivoted-tucker"
        case pivotedTensorTrain = "pivoted-tensor-train"
        case pivotedTensorRing = "pivoted-tensor-ring"
        case pivotedBlockTerm = "pivoted-block-term"
        case mixture
    }

    package var kind: Kind {
        switch self {
        case .dense: .dense
        case .lowRank: .lowRank
        case .pivotedLowRank: .pivotedLowRank
        case .tucker: .tucker
        case .tensorTrain: .tensorTrain
        case .tensorRing: .tensorRing
        case .blockTerm: .blockTerm
        case .pivoted(let inner): inner.kind.withFixedGauge ?? inner.kind
        case .mixture: .mixture
        }
    }

    /// One tensor that a matrix in this format is stored as.
    package struct Part: Hashable, Sendable {
        /// Name within the matrix, as in `output`, `core.0`, `core.0.pivots`, `term.1.factor.2`.
        package let name: String
        package let shape: [Int]
        package let content: Content
        /// Leading dimensions that are the rows of the part as a matrix; the others are its columns. Of what is
        /// contracted from the inputs' side on, rows are what that makes.
        package let rowDimensions: Int

        package enum Content: Hashable, Sendable {
            case values
            /// int32 row numbers.
            case rowNumbers
            /// float32, one of each row of a part whose values take one byte.
            case scales
        }

        package init(
            _ name: String, _ shape: [Int], isIndex: Bool = false, rowDimensions: Int = 1
        ) {
            self.init(
                name, shape, isIndex ? .rowNumbers : .values, rowDimensions: rowDimensions)
        }

        init(_ name: String, _ shape: [Int], _ content: Content, rowDimensions: Int) {
            self.name = name
            self.shape = shape
            self.content = content
            self.rowDimensions = rowDimensions
        }

        package var isIndex: Bool { content == .rowNumbers }
        package var count: Int { shape.reduce(1, *) }

        /// Rows of the part as a matrix.
        package var rows: Int { shape.prefix(rowDimensions).reduce(1, *) }
        package var columns: Int { shape.dropFirst(rowDimensions).reduce(1, *) }

        /// What it holds where values are stored as `type`.
        package func elementType(storing type: ElementType) -> ElementType {
            switch content {
            case .values: type
            case .rowNumbers: .int32
            case .scales: .float32
            }
        }

        /// The scales of this part's rows.
        var scales: Part {
            Part(Format.scales(of: name), [rows], .scales, rowDimensions: 1)
        }
    }

    /// What the scales of a part are stored as.
    package static func scales(of part: String) -> String { "\(part).scales" }

    /// What a low-rank matrix stores its input factor as.
    package static let inputPart = "input"
    /// All that is stored of it.
    package static let sharedParts = [inputPart, scales(of: inputPart)]

    /// The tensors of a `[rows, columns]` matrix in this format, in storage order.
    /// - Throws: `FormatError` where the format cannot represent a matrix of that size.
    package func parts(rows: Int, columns: Int) throws(FormatError) -> [Part] {
        try validate(rows: rows, columns: columns)
        switch self {
        case .dense:
            return [Part("weight", [rows, columns])]
        case .lowRank(let rank):
            return [Part("output", [rows, rank]), Part(Self.inputPart, [rank, columns])]
        case .pivotedLowRank(let rank):
            return [
                Part("basis", [rank, columns]),
                Part("coefficients", [rows - rank, rank]),
                Part("pivots", [rank], isIndex: true),
            ]
        case .tucker(let modes, let ranks):
            return Self.tuckerParts(modes, ranks)
        case .tensorTrain(let modes, let ranks):
            return Self.chainParts(modes, [1] + ranks + [1])
        case .tensorRing(let modes, let ranks):
            return Self.chainParts(modes, ranks + ranks.prefix(1))
        case .blockTerm(let modes, let ranks, let terms):
            return (0..<terms).flatMap { term in
                Self.tuckerParts(modes, ranks).map { Self.prefixed($0, term) }
            }
        case .pivoted(let inner):
            return try inner.gaugeFixedParts(rows: rows, columns: columns).flatMap(\.stored)
        case .mixture(let formats):
            var parts: [Part] = []
            for (term, format) in formats.enumerated() {
                parts += try format.parts(rows: rows, columns: columns)
                    .map { Self.prefixed($0, term) }
            }
            return parts
        }
    }

    /// The tensors of a `[rows, columns]` matrix whose values are stored as `type`: behind values of one byte
    /// come their scales.
    package func parts(
        rows: Int, columns: Int, storing type: ElementType
    ) throws(FormatError) -> [Part] {
        let parts = try parts(rows: rows, columns: columns)
        guard type.isQuantized else { return parts }
        return parts.flatMap { $0.isIndex ? [$0] : [$0, $0.scales] }
    }

    /// Values that a `[rows, columns]` matrix takes in this format; row numbers are not values.
    package func parameterCount(rows: Int, columns: Int) throws(FormatError) -> Int {
        try parts(rows: rows, columns: columns).reduce(0) { $0 + ($1.isIndex ? 0 : $1.count) }
    }

    /// Everything that is stored, with values of `type`, row numbers and scales of 4 bytes.
    package func byteCount(
        rows: Int, columns: Int, as type: ElementType
    ) throws(FormatError) -> Int {
        try parts(rows: rows, columns: columns, storing: type).reduce(0) {
            $0 + $1.count * $1.elementType(storing: type).byteCount
        }
    }

    private static func tuckerParts(_ modes: TensorModes, _ ranks: [Int]) -> [Part] {
        [Part("core", ranks, rowDimensions: modes.output.count)]
            + zip(modes.output + modes.input, ranks).enumerated().map { index, size in
                Part("factor.\(index)", [size.0, size.1])
            }
    }

    private static func chainParts(_ modes: TensorModes, _ ranks: [Int]) -> [Part] {
        modes.output.indices.map { k in
            Part(
                "core.\(k)", [ranks[k], modes.output[k], modes.input[k], ranks[k + 1]],
                rowDimensions: 2)
        }
    }

    private static func prefixed(_ part: Part, _ term: Int) -> Part {
        Part(
            "term.\(term).\(part.name)", part.shape, part.content,
            rowDimensions: part.rowDimensions)
    }
}
