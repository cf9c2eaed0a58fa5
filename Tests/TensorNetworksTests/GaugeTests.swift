import Tensors
import Testing

@testable import TensorNetworks

@Suite("Pivoted networks")
struct GaugeTests {
    /// Networks of several cores, padded modes, bonds larger than either core's mode, terms.
    static let cases: [(format: Format, rows: Int, columns: Int)] = {
        let even = TensorModes(output: [4, 6], input: [5, 3])
        let padded = TensorModes.factoring(rows: 31, columns: 29)
        let three = TensorModes(output: [3, 4, 2], input: [2, 5, 3])
        return [
            (.tensorTrain(even, ranks: [7]), 24, 15),
            (.tensorTrain(even, ranks: [18]), 24, 15),
            (.tensorTrain(padded, ranks: [9]), 31, 29),
            (.tensorTrain(three, ranks: [6, 5]), 24, 30),
            (.tensorTrain(TensorModes(output: [9], input: [7]), ranks: []), 9, 7),
            (.tensorRing(even, ranks: [3, 5]), 24, 15),
            (.tensorRing(padded, ranks: [2, 4]), 31, 29),
            (.tensorRing(three, ranks: [2, 4, 3]), 24, 30),
            (.tensorRing(TensorModes(output: [9], input: [7]), ranks: [1]), 9, 7),
            (.tucker(even, ranks: [4, 3, 2, 3]), 24, 15),
            (.tucker(padded, ranks: padded.output.map { $0 - 1 } + padded.input), 31, 29),
            (.tucker(three, ranks: [2, 3, 1, 2, 4, 3]), 24, 30),
            (.blockTerm(even, ranks: [2, 3, 2, 1], terms: 3), 24, 15),
            (.blockTerm(padded, ranks: [2, 3, 2, 2], terms: 2), 31, 29),
            (.mixture([.lowRank(rank: 4), .tensorTrain(even, ranks: [5])]), 24, 15),
        ]
    }()

    /// Ranks of the bonds whose gauge is fixed, of every term.
    private static func fixedRanks(_ format: Format) -> [Int] {
        switch format {
        case .tensorTrain(_, let ranks), .tucker(_, let ranks): ranks
        case .tensorRing(_, let ranks): Array(ranks.dropFirst())
        case .blockTerm(_, let ranks, let terms): (0..<terms).flatMap { _ in ranks }
        case .lowRank(let rank): [rank]
        case .mixture(let formats): formats.flatMap(fixedRanks)
        case .dense, .pivotedLowRank, .pivoted: []
        }
    }

    @Test(arguments: cases.indices)
    func losesNothingAndSavesTheSquareOfEveryBond(index: Int) throws {
        let (format, rows, columns) = Self.cases[index]
        let plain = try Samples.network(format, rows, columns, seed: UInt64(index))
        let pivoted = try plain.pivoted()
        #expect(pivoted.format.unpivoted == format)
        #expect(pivoted.format != format)
        #expect(try relativeDistance(pivoted.reconstructed(), plain.reconstructed()) < 1e-10)
        let saved = Self.fixedRanks(format).reduce(0) { $0 + $1 * $1 }
        #expect(pivoted.parameterCount == plain.parameterCount - saved)
        #expect(
            try pivoted.format.parameterCount(rows: rows, columns: columns)
                == pivoted.parameterCount)
        let again = try pivoted.pivoted()
        #expect(again.format == pivoted.format)
    }

    @Test("networks whose bonds are larger than what they carry", arguments: cases.indices, [0, 1])
    func rankDeficient(index: Int, rank: Int) throws {
        let (format, rows, columns) = Self.cases[index]
        // All bonds but `rank` first states of each carry nothing.
        let plain = try Samples.network(format, rows, columns, seed: UInt64(index)).mapTensors {
            guard rank == 1 else { return try $0 * 0 }
            let shape = $0.shape
            let mask = try Tensor.zeros(shape, .float64)
            let last = shape.count - 1
            try mask.narrowed(last, 0..<min(2, shape[last])).fill(1)
            return try $0 * mask
        }
        let pivoted = try plain.pivoted()
        let (expected, found) = (try plain.reconstructed(), try pivoted.reconstructed())
        #expect(try (found - expected).norm().scalar() <= 1e-10 * expected.norm().scalar())
        for (name, tensor) in pivoted.parts where tensor.count > 0 {
            #expect(try tensor.converted(to: .float64).finite().all().scalar() == 1, "\(name)")
        }
    }

    @Test(arguments: cases.indices)
    func contractsAndTrainsLikeItsMatrix(index: Int) throws {
        let (format, rows, columns) = Self.cases[index]
        let network = try Samples.network(format, rows, columns, seed: UInt64(index)).pivoted()
            .mapTensors { try $0.copied().requiringGradient() }
        let x = try Tensor.normal([5, columns], seed: 3, .float64)
        let y = try network.apply(x)
        #expect(try relativeDistance(y, x.linear(network.reconstructed())) < 1e-12)
        let leaves = network.parts.map(\.tensor).filter { $0.requiresGradient && $0.count > 0 }
        let direct = try y.squared().sum().gradients(for: leaves)
        let dense = try x.linear(network.reconstructed()).squared().sum().gradients(for: leaves)
        for (a, b) in zip(direct, dense) { #expect(try relativeDistance(a, b) < 1e-11) }
        // A step along the gradients is a network of the same format: the identities stayed.
        let moved = try network.mapTensors { try $0.detached() * 1.5 }
        #expect(moved.format == network.format)
        let other = try Factorization(format: network.format, rows: rows, columns: columns) {
            name in try #require(network.parts.first { $0.name == name }).tensor
        }
        #expect(try relativeDistance(other.reconstructed(), network.reconstructed()) == 0)
    }

    @Test("an identity that a core does not need is not stored")
    func wholeIdentity() throws {
        let modes = TensorModes(output: [2, 6], input: [3, 5])
        let parts = try Format.pivoted(.tensorTrain(modes, ranks: [6])).parts(rows: 12, columns: 15)
        #expect(parts.map(\.name) == ["core.0", "core.0.pivots", "core.1"])
        #expect(parts.map(\.shape) == [[0, 6], [6], [6, 6, 5, 1]])
        #expect(parts.map(\.isIndex) == [false, true, false])
    }

    @Test func impossibleFormats() throws {
        let four = TensorModes(output: [2, 2, 2, 2], input: [2, 2, 2, 2])
        // The second core has 4 rows and 5 columns: no 5 of its rows are an identity.
        let thin = Format.tensorTrain(four, ranks: [1, 5, 2])
        try thin.validate(rows: 16, columns: 16)
        #expect(throws: FormatError.rank(5, of: .pivotedTensorTrain, limit: 4)) {
            try Format.pivoted(thin).validate(rows: 16, columns: 16)
        }
        let network = try Samples.network(thin, 16, 16, seed: 1)
        #expect(throws: NetworkError.format(.rank(5, of: .pivotedTensorTrain, limit: 4))) {
            try network.pivoted()
        }
        for format in [
            Format.dense, .lowRank(rank: 1), .pivotedLowRank(rank: 1),
            .mixture([.lowRank(rank: 1)]),
            .pivoted(.tucker(four, ranks: Array(repeating: 1, count: 8))),
        ] {
            #expect(throws: FormatError.notPivotable(format.kind)) {
                try Format.pivoted(format).validate(rows: 16, columns: 16)
            }
        }
        let good = Format.pivoted(.tensorTrain(four, ranks: [4, 4, 4]))
        #expect(throws: NetworkError.repeatedPivot(0)) {
            try Factorization(format: good, rows: 16, columns: 16) { name in
                let part = try #require(
                    try good.parts(rows: 16, columns: 16).first { $0.name == name })
                return try Tensor.zeros(part.shape, part.isIndex ? .int32 : .float32)
            }
        }
    }

    @Test("coefficients stay small and survive rounding", arguments: [1, 2, 3] as [UInt64])
    func coefficients(seed: UInt64) throws {
        let (m, n) = (48, 64)
        let objective = try FitObjective(
            weight: Samples.matrix(m, n, seed: seed), input: Samples.moment(n, seed: seed + 10),
            output: Samples.moment(m, seed: seed + 20))
        for kind in [Format.Kind.tensorTrain, .tensorRing, .tucker, .blockTerm] {
            let format = try #require(
                Format.fitting(kind, rows: m, columns: n, parameters: m * n / 2))
            let plain = try Factorization.fit(
                objective, format: format, options: FitOptions(iterations: 30)
            ).factorization
            let pivoted = try plain.pivoted()
            let names = Set(pivoted.parts.map(\.name))
            for (name, tensor) in pivoted.parts
            where names.contains("\(name).pivots") && tensor.count > 0 {
                // Greedy pivoting bounds them by 2^rank only; in practice by a small number.
                #expect(try tensor.magnitude().max().scalar() < 20, "\(kind) \(name)")
            }
            let exact = try plain.reconstructed()
            func rounded(_ network: Factorization) throws -> Double {
                let stored = try network.stored(as: .bfloat16, for: objective)
                    .mapTensors { try $0.converted(to: .float64) }
                let error = try stored.reconstructed() - exact
                return try objective.metric.squaredNorm(error).squareRoot()
            }
            let (before, after) = (try rounded(plain), try rounded(pivoted))
            #expect(after <= 2 * before, "\(kind) \(before) \(after)")
        }
    }

    @Test("what the identities free buys accuracy", arguments: [1, 2, 3] as [UInt64])
    func betterAtEqualSize(seed: UInt64) throws {
        let (m, n) = (48, 64)
        let objective = try FitObjective(
            weight: Samples.matrix(m, n, seed: seed), input: Samples.moment(n, seed: seed + 10),
            output: Samples.moment(m, seed: seed + 20))
        for (open, fixed) in [
            (Format.Kind.tensorTrain, Format.Kind.pivotedTensorTrain),
            (.tensorRing, .pivotedTensorRing),
        ] {
            let errors = try [open, fixed].map { kind in
                let format = try #require(
                    Format.fitting(kind, rows: m, columns: n, parameters: 2 * m * n / 3))
                return try Factorization.fit(objective, format: format).relativeError
            }
            #expect(errors[1] < 0.9 * errors[0], "\(fixed) \(errors)")
        }
    }
}
