import TensorNetworks
import Tensors
import Testing

@Suite("Contraction")
struct ContractionTests {
    static let sizes = [
        [1, 1], [1, 7], [7, 1], [2, 3], [5, 11], [13, 12], [16, 24], [31, 29], [60, 48],
    ]

    @Test(arguments: sizes, 1...3)
    func applyEqualsReconstructThenMultiply(size: [Int], modeCount: Int) throws {
        let (rows, columns) = (size[0], size[1])
        let formats = Samples.formats(rows, columns, modeCount: modeCount)
        #expect(formats.count >= 5)
        for (index, format) in formats.enumerated() {
            let network = try Samples.network(format, rows, columns, seed: UInt64(index))
            let x = try Tensor.normal([2, 3, columns], seed: 99, .float64)
            let dense = try network.reconstructed()
            #expect(dense.shape == [rows, columns])
            let y = try network.apply(x)
            #expect(y.shape == [2, 3, rows])
            #expect(try relativeDistance(y, x.linear(dense)) < 1e-13, "\(format)")
        }
    }

    // One rounding per stored intermediate: at most one per core and term on either side, each of
    // relative size `roundoff` in norm, plus the accumulation of sums in float32 at least.
    @Test(arguments: [ElementType.float32, .bfloat16])
    func lowPrecisionStaysWithinRounding(type: ElementType) throws {
        for (index, format) in Samples.formats(60, 48).enumerated() {
            let exact = try Samples.network(format, 60, 48, seed: UInt64(index))
                .mapTensors { try $0.converted(to: type) }
            let x = try Tensor.normal([9, 48], seed: 5, type)
            let wide = try exact.mapTensors { try $0.converted(to: .float64) }
            let y = try wide.apply(x.converted(to: .float64))
            let bound = 8 * type.roundoff
            let distance = try relativeDistance(exact.apply(x), y)
            #expect(distance < bound, "\(format) \(distance)")
            #expect(distance > 0)
        }
    }

    @Test func leadingDimensionsAreFree() throws {
        let format = try #require(
            Format.fitting(.tensorTrain, rows: 12, columns: 20, parameters: 120))
        let network = try Samples.network(format, 12, 20, seed: 1)
        for leading in [[], [0], [4], [2, 0, 3], [2, 1, 3]] as [[Int]] {
            let x = try Tensor.normal(leading + [20], seed: 3, .float64)
            #expect(try network.apply(x).shape == leading + [12])
        }
        #expect(throws: NetworkError.inputWidth(shape: [3, 19], columns: 20)) {
            try network.apply(Tensor.zeros([3, 19], .float64))
        }
    }

    @Test func gradientsReachEveryPart() throws {
        for format in Samples.formats(12, 20) {
            let network = try Samples.network(format, 12, 20, seed: 4)
                .mapTensors { try $0.copied().requiringGradient() }
            let leaves = network.parts.map(\.tensor)
                .filter { $0.requiresGradient && $0.count > 0 }
            let x = try Tensor.normal([5, 20], seed: 3, .float64)
            let direct = try network.apply(x).squared().sum().gradients(for: leaves)
            let dense = try x.linear(network.reconstructed()).squared().sum()
                .gradients(for: leaves)
            for (a, b) in zip(direct, dense) { #expect(try relativeDistance(a, b) < 1e-12) }
        }
    }

    @Test func countsAreThoseOfTheFormat() throws {
        for size in Self.sizes {
            for format in Samples.formats(size[0], size[1]) {
                let network = try Samples.network(format, size[0], size[1], seed: 2, .float32)
                let values = network.parts.filter { $0.name.hasSuffix("pivots") == false }
                    .reduce(0) { $0 + $1.tensor.count }
                #expect(network.parameterCount == values)
                #expect(
                    try format.parameterCount(rows: size[0], columns: size[1]) == values)
                #expect(
                    try format.byteCount(rows: size[0], columns: size[1], as: .float32)
                        == network.byteCount)
                #expect(network.format == format)
            }
        }
    }

    @Test func conversionKeepsRowNumbers() throws {
        // bf16 has 8 bits of mantissa: row 301 would not survive a detour through it.
        let network = try Samples.network(.pivotedLowRank(rank: 3), 907, 8, seed: 1)
        let converted = try network.mapTensors { try $0.converted(to: .bfloat16) }
        let pivots = try #require(converted.parts.last).tensor
        #expect(pivots.elementType == .int32)
        #expect(try pivots.elements(as: Int32.self) == [604, 302, 0])
        #expect(converted.parts[0].tensor.elementType == .bfloat16)
    }
}

@Suite("Malformed networks")
struct MalformedNetworkTests {
    @Test func shapes() throws {
        let a = try Tensor.zeros([4, 2])
        #expect(throws: NetworkError.shape(part: "input", expected: [2, 5], found: [3, 5])) {
            try LowRank(output: a, input: Tensor.zeros([3, 5]))
        }
        #expect(throws: NetworkError.format(.rank(9, of: .lowRank, limit: 4))) {
            try LowRank(output: Tensor.zeros([4, 9]), input: Tensor.zeros([9, 5]))
        }
        #expect(
            throws: NetworkError.elementType(part: "input", expected: "F32", found: .float64)
        ) {
            try LowRank(output: a, input: Tensor.zeros([2, 5], .float64))
        }
        #expect(throws: NetworkError.self) {
            try LowRank(output: Tensor.zeros([]), input: Tensor.zeros([]))
        }
        let modes = TensorModes(output: [2, 2], input: [3, 2])
        #expect(
            throws: NetworkError.shape(
                part: "core.1", expected: [3, 2, 2, 1], found: [3, 2, 2, 2])
        ) {
            try TensorTrain(
                modes: modes, rows: 4, columns: 6,
                cores: [Tensor.zeros([1, 2, 3, 3]), Tensor.zeros([3, 2, 2, 2])])
        }
        #expect(throws: NetworkError.self) {
            try TensorTrain(modes: modes, rows: 4, columns: 6, cores: [])
        }
        #expect(throws: NetworkError.self) {
            try TensorRing(modes: modes, rows: 4, columns: 9, cores: [a, a])
        }
        #expect(throws: NetworkError.self) {
            try Tucker(modes: modes, rows: 4, columns: 6, core: a, factors: [a])
        }
        #expect(throws: NetworkError.format(.terms(0))) { try BlockTerm(terms: []) }
        #expect(throws: NetworkError.format(.terms(0))) { try Mixture(terms: []) }
    }

    @Test func pivots() throws {
        func make(_ pivots: [Int32]) throws -> PivotedLowRank {
            try PivotedLowRank(
                basis: Tensor.zeros([2, 5]), coefficients: Tensor.zeros([3, 2]),
                pivots: Tensor(pivots))
        }
        _ = try make([4, 0])
        #expect(throws: NetworkError.pivot(5, rows: 5)) { try make([0, 5]) }
        #expect(throws: NetworkError.pivot(-1, rows: 5)) { try make([-1, 0]) }
        #expect(throws: NetworkError.repeatedPivot(3)) { try make([3, 3]) }
        #expect(throws: NetworkError.shape(part: "pivots", expected: [2], found: [3])) {
            try make([0, 1, 2])
        }
    }

    @Test func termsOfOneSize() throws {
        let small = try Samples.network(.lowRank(rank: 1), 3, 4, seed: 1)
        let large = try Samples.network(.lowRank(rank: 1), 4, 4, seed: 1)
        #expect(throws: NetworkError.termSize(term: 1, expected: [3, 4], found: [4, 4])) {
            try Mixture(terms: [small, large])
        }
        let mixture = Factorization.mixture(try Mixture(terms: [small]))
        #expect(throws: NetworkError.format(.nestedMixture)) {
            try Mixture(terms: [small, mixture])
        }
    }

    @Test func assembly() throws {
        #expect(throws: NetworkError.shape(part: "output", expected: [4, 2], found: [4, 3])) {
            try Factorization(format: .lowRank(rank: 2), rows: 4, columns: 5) { _ in
                try Tensor.zeros([4, 3])
            }
        }
        #expect(throws: NetworkError.denseFormat) {
            try Factorization(format: .dense, rows: 4, columns: 5) { _ in
                try Tensor.zeros([4, 5])
            }
        }
    }
}
