import TensorNetworks
import Tensors
import Testing

@Suite("Decomposition")
struct DecompositionTests {
    static let sizes = [
        [1, 1], [1, 9], [9, 1], [7, 5], [11, 13], [16, 24], [31, 29], [128, 130],
    ]

    /// Formats of full rank, which represent any matrix.
    private static func fullFormats(_ rows: Int, _ columns: Int, _ modeCount: Int) -> [Format] {
        let modes = TensorModes.factoring(rows: rows, columns: columns, count: modeCount)
        let bonds = (0..<modeCount - 1).map { modes.largestRank(after: $0) }
        let side = min(rows, columns)
        return [
            .lowRank(rank: side), .pivotedLowRank(rank: side),
            .tensorTrain(modes, ranks: bonds), .pivoted(.tensorTrain(modes, ranks: bonds)),
            .tensorRing(modes, ranks: [1] + bonds.map { min($0, side) }),
            .tucker(modes, ranks: modes.output + modes.input),
            .pivoted(.tucker(modes, ranks: modes.output + modes.input)),
            .blockTerm(modes, ranks: modes.output + modes.input, terms: 2),
            .mixture([.lowRank(rank: 1), .tensorTrain(modes, ranks: bonds)]),
        ]
    }

    @Test(arguments: sizes, 1...3)
    func fullRankLosesNothing(size: [Int], modeCount: Int) throws {
        let (rows, columns) = (size[0], size[1])
        let w = try Samples.matrix(rows, columns, seed: 3)
        for format in Self.fullFormats(rows, columns, modeCount) {
            if case .tensorRing(let modes, let ranks) = format {
                // A ring's ranks stop at the matrix's smaller side, which may not be its full rank.
                let bonds = (0..<modeCount - 1).map { modes.largestRank(after: $0) }
                guard ranks == [1] + bonds else { continue }
            }
            let network = try Factorization.decomposing(w, format: format)
            #expect(network.format == format)
            #expect(try relativeDistance(network.reconstructed(), w) < 1e-12, "\(format)")
        }
    }

    @Test(
        arguments: Format.Kind.allCases.filter {
            ![.dense, .blockTerm, .pivotedBlockTerm, .mixture].contains($0)
        })
    func knownRanksAreRecovered(kind: Format.Kind) throws {
        let format = try #require(
            Format.fitting(kind, rows: 60, columns: 72, parameters: 1200))
        let w = try Samples.network(format, 60, 72, seed: 17).reconstructed()
        let network = try Factorization.decomposing(w, format: format)
        #expect(try relativeDistance(network.reconstructed(), w) < 1e-9)
        let objective = try FitObjective(weight: w, input: Samples.moment(72, seed: 1))
        #expect(try Factorization.fit(objective, format: format).relativeError < 1e-18)
    }

    @Test(arguments: [[60, 72], [31, 29], [128, 96]], [0.5, 0.1, 0.01])
    func trainKeepsItsErrorBound(size: [Int], relativeError: Double) throws {
        let w = try Samples.matrix(size[0], size[1], seed: 5)
        for count in 1...3 {
            let modes = TensorModes.factoring(rows: size[0], columns: size[1], count: count)
            let train = try TensorTrain.decomposing(w, modes: modes, relativeError: relativeError)
            let error = try relativeDistance(
                Factorization.tensorTrain(train).reconstructed(), w)
            #expect(error <= relativeError)
            // The bound is used: at the loosest tolerance a random matrix is visibly truncated.
            if count > 1, relativeError == 0.5 { #expect(error > 0.1) }
        }
    }

    @Test func trainRanksGrowWithAccuracy() throws {
        let modes = TensorModes.factoring(rows: 60, columns: 72, count: 2)
        let w = try Samples.network(.tensorTrain(modes, ranks: [5]), 60, 72, seed: 2)
            .reconstructed()
        let train = try TensorTrain.decomposing(w, modes: modes, relativeError: 1e-8)
        #expect(train.format == .tensorTrain(modes, ranks: [5]))
    }

    @Test func tuckerKeepsItsErrorBound() throws {
        let modes = TensorModes(output: [6, 8], input: [9, 7])
        let w = try Samples.matrix(48, 63, seed: 4)
        let ranks = [3, 5, 6, 4]
        let tensor = try w.reshaped([6, 8, 9, 7])
        var discarded = 0.0
        for (axis, rank) in ranks.enumerated() {
            let order = [axis] + (0..<4).filter { $0 != axis }
            let values = try tensor.permuted(order).reshaped([tensor.shape[axis], -1])
                .singularValues().elements(as: Double.self)
            discarded += values[rank...].reduce(0) { $0 + $1 * $1 }
        }
        var last = discarded
        for sweeps in [0, 1, 4] {
            let network = try Tucker.decomposing(w, modes: modes, ranks: ranks, sweeps: sweeps)
            let error = try (Factorization.tucker(network).reconstructed() - w).squared().sum()
                .scalar()
            #expect(error <= last * (1 + 1e-12))
            last = error
        }
        #expect(last < discarded)
    }

    @Test func sumsImproveTermByTerm() throws {
        let w = try Samples.matrix(48, 63, seed: 4)
        let modes = TensorModes.factoring(rows: 48, columns: 63)
        var last = 1.0
        for terms in 1...3 {
            let format = Format.blockTerm(modes, ranks: [3, 3, 3, 3], terms: terms)
            let error = try relativeDistance(
                Factorization.decomposing(w, format: format).reconstructed(), w)
            #expect(error < last)
            last = error
        }
    }
}
