import Tensors
import Testing

@testable import TensorNetworks

@Suite("Weighted fit")
struct WeightedFitTests {
    static let kinds = Format.Kind.allCases.filter { $0 != .dense }

    @Test(arguments: kinds, [1, 2, 3] as [UInt64])
    func beatsThePlainFitAtEqualSize(kind: Format.Kind, seed: UInt64) throws {
        let (m, n) = (48, 60)
        let w = try Samples.matrix(m, n, seed: seed)
        let objective = try FitObjective(
            weight: w, input: Samples.moment(n, seed: seed + 10),
            output: Samples.moment(m, seed: seed + 20))
        let format = try #require(
            Format.fitting(kind, rows: m, columns: n, parameters: m * n / 2))
        let plain = try objective.relativeError(
            of: Factorization.decomposing(w, format: format).reconstructed())
        let fit = try Factorization.fit(objective, format: format)
        #expect(fit.factorization.format == format)
        // These moments' spectra fall by 48 and more: weighting is worth far more than a tie.
        #expect(fit.relativeError < 0.7 * plain, "\(fit.relativeError) \(plain)")
        let direct = try objective.relativeError(of: fit.factorization.reconstructed())
        #expect(direct == fit.relativeError)
    }

    @Test(arguments: kinds)
    func sameInputSameBits(kind: Format.Kind) throws {
        let objective = try FitObjective(
            weight: Samples.matrix(20, 24, seed: 1), input: Samples.moment(24, seed: 2))
        let format = try #require(
            Format.fitting(kind, rows: 20, columns: 24, parameters: 300))
        let options = FitOptions(iterations: 20)
        let fits = try (0..<2).map { _ in
            try Factorization.fit(objective, format: format, options: options).factorization
                .reconstructed().elements(as: Double.self)
        }
        #expect(fits[0] == fits[1])
    }

    @Test func worksInsideWithoutGradients() throws {
        let objective = try FitObjective(
            weight: Samples.matrix(20, 24, seed: 1), input: Samples.moment(24, seed: 2))
        let format = try #require(
            Format.fitting(.tensorTrain, rows: 20, columns: 24, parameters: 200))
        let outside = try Factorization.fit(objective, format: format).relativeError
        let inside = try withoutGradients {
            try Factorization.fit(objective, format: format).relativeError
        }
        #expect(inside == outside)
    }

    /// A two-core train with modes (m, 1), (1, n) is low rank: the descent must reach the closed form.
    @Test func degenerateTrainReachesTheClosedForm() throws {
        let (m, n, rank) = (24, 32, 6)
        let objective = try FitObjective(
            weight: Samples.matrix(m, n, seed: 1), input: Samples.moment(n, seed: 2),
            output: Samples.moment(m, seed: 3))
        let best = try Factorization.fit(objective, format: .lowRank(rank: rank)).relativeError
        let train = Format.tensorTrain(
            TensorModes(output: [m, 1], input: [1, n]), ranks: [rank])
        let fit = try Factorization.fit(
            objective, format: train, options: FitOptions(iterations: 400, tolerance: 1e-9))
        #expect(fit.relativeError > best * (1 - 1e-9))
        #expect(fit.relativeError < best * (1 + 1e-4))
    }

    @Test func pivotedTermOfAMixture() throws {
        let objective = try FitObjective(
            weight: Samples.matrix(24, 32, seed: 1), input: Samples.moment(32, seed: 2))
        let modes = TensorModes.factoring(rows: 24, columns: 32)
        let open = Format.mixture([.lowRank(rank: 5), .tensorTrain(modes, ranks: [2])])
        let pivoted = Format.mixture([.pivotedLowRank(rank: 5), .tensorTrain(modes, ranks: [2])])
        let a = try Factorization.fit(objective, format: open)
        let b = try Factorization.fit(objective, format: pivoted)
        #expect(b.factorization.format == pivoted)
        #expect(b.factorization.parameterCount == a.factorization.parameterCount - 25)
        #expect(abs(b.relativeError - a.relativeError) < 1e-10)
    }

    @Test func pivotedTermsOfAMixture() throws {
        let objective = try FitObjective(
            weight: Samples.matrix(24, 32, seed: 1), input: Samples.moment(32, seed: 2))
        let modes = TensorModes.factoring(rows: 24, columns: 32)
        let open = Format.mixture([.lowRank(rank: 5), .tensorTrain(modes, ranks: [4])])
        let pivoted = Format.mixture([
            .pivotedLowRank(rank: 5), .pivoted(.tensorTrain(modes, ranks: [4])),
        ])
        let a = try Factorization.fit(objective, format: open)
        let b = try Factorization.fit(objective, format: pivoted)
        #expect(b.factorization.format == pivoted)
        #expect(b.factorization.parameterCount == a.factorization.parameterCount - 25 - 16)
        #expect(abs(b.relativeError - a.relativeError) < 1e-10)
    }

    /// The low-rank term of a fitted sum is the best for what the other terms leave: no other of its rank
    /// does better, which is what eliminating it promises.
    @Test(arguments: [[24, 32], [32, 24]], [true, false])
    func lowRankTermIsOptimalForTheOthers(size: [Int], isTwoSided: Bool) throws {
        let (m, n) = (size[0], size[1])
        let objective = try FitObjective(
            weight: Samples.matrix(m, n, seed: 1), input: Samples.moment(n, seed: 2),
            output: isTwoSided ? Samples.moment(m, seed: 3) : nil)
        let modes = TensorModes.factoring(rows: m, columns: n)
        let train = Format.tensorTrain(modes, ranks: [4])
        let elimination = try LowRankElimination(rank: 5, of: objective, as: .float64)
        let start = try objective.relativeError(
            of: Factorization.decomposing(
                objective.target, format: .mixture([.lowRank(rank: 5), train])
            ).reconstructed())
        for formats in [[.lowRank(rank: 5), train], [train, .lowRank(rank: 5)]] {
            let fit = try Factorization.fit(objective, format: .mixture(formats))
            guard case .mixture(let sum) = fit.factorization,
                let other = sum.terms.first(where: { $0.format == train })
            else {
                Issue.record("a fitted sum keeps its terms")
                return
            }
            let rest = try objective.target - other.reconstructed()
            let best = try elimination.residual(of: rest).value / objective.energy
            #expect(abs(fit.relativeError - best) < 1e-12)
            #expect(fit.relativeError < 0.5 * start)
        }
    }

    /// The slope that the descent follows against differences of the value.
    @Test(arguments: [[24, 32], [32, 24]], [true, false])
    func eliminationHasTheRightSlope(size: [Int], isTwoSided: Bool) throws {
        let (m, n) = (size[0], size[1])
        let objective = try FitObjective(
            weight: Samples.matrix(m, n, seed: 1), input: Samples.moment(n, seed: 2),
            output: isTwoSided ? Samples.moment(m, seed: 3) : nil)
        let elimination = try LowRankElimination(rank: 5, of: objective, as: .float64)
        let (rest, step) = (objective.target, try Samples.matrix(m, n, seed: 7) * 1e-5)
        let slope = try LowRankElimination(rank: 5, of: objective, as: .float64)
            .residual(of: rest).slope()
        let expected = try (slope * step).sum().scalar()
        let difference =
            try
            (elimination.residual(of: rest + step).value
            - elimination.residual(of: rest - step).value) / 2
        #expect(abs(difference / expected - 1) < 1e-6)
        // Rank of the whole matrix leaves nothing, and what overflows is worth nothing.
        let all = try LowRankElimination(rank: min(m, n), of: objective, as: .float64)
        #expect(try all.residual(of: rest).value < 1e-12 * objective.energy)
        #expect(try elimination.residual(of: rest * 1e200).value == .infinity)
        // Following a matrix in steps ends at its own singular vectors.
        let follower = try LowRankElimination(rank: 5, of: objective, as: .float64)
        var last = try follower.residual(of: Samples.matrix(m, n, seed: 8)).value
        for _ in 0..<200 {
            let (value, slope) = try follower.residual(of: rest)
            _ = try slope()
            last = value
        }
        let exact = try elimination.residual(of: rest).value
        #expect(last >= exact * (1 - 1e-12))
        #expect(last < exact * 1.001)
    }

    @Test func anchoredFitsOfEveryKindCountTheShift() throws {
        let (m, n) = (24, 32)
        let w = try Samples.matrix(m, n, seed: 1)
        let x = try Samples.matrix(300, n, seed: 5).matmul(Samples.moment(n, seed: 2))
        let shifted = try x + Samples.matrix(300, n, seed: 6) * 0.05
        func moment(_ a: Tensor, _ b: Tensor) throws -> Tensor {
            try a.transposed().matmul(b) / 300
        }
        let objective = try FitObjective(
            weight: w, input: moment(shifted, shifted), wanted: w.matmul(moment(x, shifted)),
            shrinkage: 0)
        let y = try x.linear(w)
        // What no matrix can do better than, and the scale of the errors.
        let best = try shifted.linear(objective.target)
        let floor = try (y - best).squared().sum().scalar()
        let energy = try best.squared().sum().scalar()
        for kind in Self.kinds {
            let format = try #require(
                Format.fitting(kind, rows: m, columns: n, parameters: m * n / 2))
            let fit = try Factorization.fit(objective, format: format)
            let error = try (fit.factorization.apply(shifted) - y).squared().sum().scalar()
            #expect(error > floor)
            #expect(abs((error - floor) / energy / fit.relativeError - 1) < 1e-6)
        }
    }
}

@Suite("Difficult moments")
struct DifficultMomentTests {
    private static let size = 24

    private func moments() throws -> [(String, Tensor)] {
        let n = Self.size
        let thin = try Samples.matrix(n, 3, seed: 1)
        let spread = try Tensor(
            (0..<n).map { _ in 0.0 }.enumerated().map { i, _ in
                (0..<i).reduce(1.0) { value, _ in value / 10 }
            }
        ).diagonalMatrix()
        let basis = try Samples.matrix(n, n, seed: 4).qr().q
        return [
            ("zero", try Tensor.zeros([n, n], .float64)),
            ("rank 3", try thin.matmul(thin.transposed())),
            (
                "rank 1, one axis",
                try Tensor([1.0] + [Double](repeating: 0, count: n - 1))
                    .diagonalMatrix()
            ),
            ("condition 1e23", try basis.matmul(spread).matmul(basis.transposed())),
            ("tiny", try Samples.moment(n, seed: 2) * 1e-290),
            ("huge", try Samples.moment(n, seed: 2) * 1e290),
            ("indefinite", try Samples.moment(n, seed: 2) - Tensor.identity(n, .float64) * 0.06),
            ("negative", try -Samples.moment(n, seed: 2)),
            (
                "skewed",
                try Samples.moment(n, seed: 2)
                    + Samples.matrix(n, n, seed: 9).upperTriangle() * 1e-9
            ),
        ]
    }

    @Test(arguments: [0, 0.01, 1])
    func fitsAreFinite(shrinkage: Double) throws {
        let n = Self.size
        let w = try Samples.matrix(n, n, seed: 3)
        for (name, moment) in try moments() {
            for output in [nil, moment] {
                let objective = try FitObjective(
                    weight: w, input: moment, output: output, shrinkage: shrinkage,
                    outputShrinkage: shrinkage)
                for kind in WeightedFitTests.kinds {
                    let format = try #require(
                        Format.fitting(kind, rows: n, columns: n, parameters: n * n / 2))
                    let fit = try Factorization.fit(
                        objective, format: format, options: FitOptions(iterations: 5))
                    #expect(fit.relativeError.isFinite, "\(name) \(kind)")
                    #expect(
                        try fit.factorization.reconstructed().finite().all().scalar() == 1,
                        "\(name) \(kind)")
                }
            }
        }
    }

    @Test func scaleDoesNotMatter() throws {
        let n = Self.size
        let w = try Samples.matrix(n, n, seed: 3)
        let moment = try Samples.moment(n, seed: 2)
        let errors = try [1, 1e-290, 1e290].map { scale in
            try Factorization.fit(
                FitObjective(weight: w, input: moment * scale), format: .lowRank(rank: 5)
            ).relativeError
        }
        #expect(abs(errors[1] / errors[0] - 1) < 1e-9)
        #expect(abs(errors[2] / errors[0] - 1) < 1e-9)
    }

    @Test func zeroWeight() throws {
        let n = Self.size
        let objective = try FitObjective(
            weight: Tensor.zeros([n, n]), input: Samples.moment(n, seed: 2))
        for kind in WeightedFitTests.kinds {
            let format = try #require(
                Format.fitting(kind, rows: n, columns: n, parameters: n * n / 2))
            let fit = try Factorization.fit(objective, format: format)
            #expect(fit.relativeError == 0)
            #expect(try fit.factorization.reconstructed().magnitude().max().scalar() == 0)
        }
    }

    @Test func notANumberIsAnError() throws {
        let n = Self.size
        let w = try Samples.matrix(n, n, seed: 3)
        let good = try Samples.moment(n, seed: 2)
        for value in [Double.nan, .infinity, -.infinity] {
            let bad = try good.copied()
            try bad.narrowed(0, 3..<4).narrowed(1, 5..<6).fill(value)
            #expect(throws: NetworkError.notFinite("the input moment")) {
                try FitObjective(weight: w, input: bad)
            }
            #expect(throws: NetworkError.notFinite("the wanted outputs' moment")) {
                try FitObjective(weight: w, input: good, wanted: bad.copied())
            }
            #expect(throws: NetworkError.notFinite("the output moment")) {
                try FitObjective(weight: w, output: bad)
            }
            #expect(throws: NetworkError.notFinite("the weight")) {
                try FitObjective(weight: bad)
            }
        }
        #expect(
            throws: NetworkError.shape(
                part: "the input moment", expected: [n, n], found: [n, n - 1])
        ) {
            try FitObjective(weight: w, input: good.narrowed(1, 0..<n - 1))
        }
        #expect(throws: NetworkError.shrinkage(1.5)) {
            try FitObjective(weight: w, shrinkage: 1.5)
        }
    }

    @Test func factorReproducesTheMoment() throws {
        for (name, moment) in try moments()
        where !["indefinite", "negative", "zero"].contains(name) {
            let second = try SecondMoment(moment, size: Self.size, shrinkage: 0, name: name)
            let factor = try second.factor()
            let l = try factor.matrix()
            #expect(
                try relativeDistance(l.matmul(l.transposed()), second.matrix) < 1e-10, "\(name)")
            let x = try Samples.matrix(5, Self.size, seed: 8)
            #expect(
                try relativeDistance(factor.solving(factor.multiplying(x)), x) < 1e-6, "\(name)")
            let transposed = try factor.solvingTransposed(x.matmul(l.transposed()))
            #expect(try relativeDistance(transposed, x) < 1e-6, "\(name)")
        }
    }
}
