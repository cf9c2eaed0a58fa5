import Tensors
import Testing

@testable import TensorNetworks

@Suite("Values of one byte")
struct QuantizationTests {
    static let types: [ElementType] = [.int8, .float8e4m3]

    /// Half of the distance to the next value that there is.
    private func bound(_ value: Double, _ scale: Double, _ type: ElementType) -> Double {
        // e4m3: three bits behind the leading one, and none of them below 2⁻⁶.
        let step = type == .int8 ? scale : max(abs(value) / 8, scale / 512)
        return step / 2 * (1 + 1e-6)
    }

    @Test(
        "every value is within half a step of what it was, and rows' largest come back",
        arguments: types)
    func rounding(_ type: ElementType) throws {
        let matrix =
            try Samples.matrix(7, 50, seed: 1)
            * (try Tensor([1e-6, 1, 30, 0, 1e20, 1e-30, 0.5]).unsqueezed(1))
        let quantized = try QuantizedMatrix(quantizing: matrix, as: type)
        #expect(quantized.elements.elementType == type && quantized.elements.shape == [7, 50])
        #expect(quantized.byteCount == 7 * 50 + 7 * 4)
        let scales = try quantized.scales.elements(as: Float.self).map(Double.init)
        #expect(scales[3] == 1)
        let values = try matrix.elements(as: Double.self)
        let found = try quantized.dequantized(as: .float64).elements(as: Double.self)
        for row in 0..<7 {
            let largest = values[row * 50..<row * 50 + 50].map(abs).max() ?? 0
            for place in row * 50..<row * 50 + 50 {
                #expect(
                    abs(found[place] - values[place]) <= bound(values[place], scales[row], type))
                if abs(values[place]) == largest {
                    #expect(abs(found[place] - values[place]) <= 1e-6 * largest)
                }
            }
        }
        // What is on the grid stays where it is.
        let again = try QuantizedMatrix(quantizing: quantized.dequantized(as: .float64), as: type)
        let same = try again.dequantized(as: .float64).elements(as: Double.self)
        for (a, b) in zip(same, found) { #expect(abs(a - b) <= 1e-6 * abs(b)) }
    }

    /// GPTQ's definition: what is not rounded yet makes good, as well as it can, each column's loss.
    private func defined(_ matrix: Tensor, _ grid: QuantizationGrid, _ moment: Tensor) throws
        -> Tensor
    {
        let size = moment.shape[0]
        let mean = try moment.diagonal().mean().scalar()
        let damped = try moment + Tensor.identity(size, .float64) * (0.01 * mean)
        let rest = try matrix.copied()
        for column in 0..<size {
            let values = try rest.narrowed(1, column..<column + 1).copied()
            let rounded = try grid.rounded(values)
            try rest.narrowed(1, column..<column + 1).assign(rounded)
            guard column + 1 < size else { continue }
            let behind = column + 1..<size
            let square = try damped.narrowed(0, behind).narrowed(1, behind)
            let cross = try damped.narrowed(0, behind).narrowed(1, column..<column + 1)
            let change = try square.solve(cross).transposed()
            try rest.narrowed(1, behind).accumulate((values - rounded).matmul(change))
        }
        return rest
    }

    private func errors(_ values: Tensor, _ matrix: Tensor, _ moment: Tensor) throws -> [Double] {
        let error = try values - matrix
        return try (error.matmul(moment) * error).sum(1).elements(as: Double.self)
    }

    @Test(
        "compensated rows are what GPTQ defines, and none is worse than rounded to nearest",
        arguments: types, [1, 2])
    func compensation(_ type: ElementType, _ seed: UInt64) throws {
        // More columns than are taken together.
        let (rows, columns) = (9, 150)
        let moment = try Samples.moment(columns, seed: seed)
        let matrix = try Samples.matrix(rows, columns, seed: seed + 7)
        let grid = try QuantizationGrid(of: matrix, as: type)
        let found = try errors(
            QuantizedMatrix(quantizing: matrix, as: type, moment: moment)
                .dequantized(as: .float64), matrix, moment)
        let nearest = try errors(grid.rounded(matrix), matrix, moment)
        let defined = try errors(self.defined(matrix, grid, moment), matrix, moment)
        for row in 0..<rows {
            #expect(found[row] <= nearest[row] * (1 + 1e-9))
            let expected = min(nearest[row], defined[row])
            #expect(abs(found[row] - expected) <= 1e-6 * expected)
        }
        // Inputs that go together are worth much.
        #expect(found.reduce(0, +) < 0.8 * nearest.reduce(0, +))
    }

    @Test("inputs that have nothing to do with one another, or are not there, change nothing")
    func uncorrelated() throws {
        let matrix = try Samples.matrix(5, 20, seed: 3)
        let nearest = try QuantizedMatrix(quantizing: matrix, as: .int8)
        for moment in [try Tensor.identity(20, .float64), try Tensor.zeros([20, 20], .float64)] {
            let found = try QuantizedMatrix(quantizing: matrix, as: .int8, moment: moment)
            let difference = try found.dequantized(as: .float64) - nearest.dequantized(as: .float64)
            #expect(try difference.norm().scalar() == 0)
        }
    }

    @Test(
        "every format takes the bytes that it says, and stands for nearly the same matrix",
        arguments: types)
    func formats(_ type: ElementType) throws {
        for format in Samples.formats(24, 36) {
            let network = try Samples.network(format, 24, 36, seed: 5)
            let matrix = try network.reconstructed()
            let objective = try FitObjective(weight: matrix, input: Samples.moment(36, seed: 2))
            for rounding in WeightRounding.allCases {
                let quantized = try network.quantized(as: type, for: objective, rounding)
                #expect(
                    quantized.format == format && quantized.parameterCount == network.parameterCount
                )
                let bytes = quantized.parts.reduce(0) { $0 + $1.tensor.byteCount }
                #expect(try bytes == format.byteCount(rows: 24, columns: 36, as: type))
                let declared = try format.parts(rows: 24, columns: 36, storing: type)
                #expect(quantized.parts.map(\.name) == declared.map(\.name))
                #expect(quantized.parts.map(\.tensor.shape) == declared.map(\.shape))
                let error = try objective.relativeError(of: quantized.reconstructed(as: .float64))
                #expect(error < (type == .int8 ? 1e-2 : 5e-2), "\(format) \(rounding) \(error)")

                let stored = Dictionary(
                    uniqueKeysWithValues: quantized.parts.map { ($0.name, $0.tensor) })
                let again = try QuantizedNetwork(
                    format: format, rows: 24, columns: 36, as: type
                ) { try #require(stored[$0]) }
                let difference =
                    try again.reconstructed(as: .float64) - quantized.reconstructed(as: .float64)
                #expect(try difference.norm().scalar() == 0)
            }
        }
    }

    @Test(
        "pairs and sums lose less when the second factor is fitted to the first as it is stored",
        arguments: types)
    func pairs(_ type: ElementType) throws {
        let moment = try Samples.moment(48, seed: 4)
        let objective = try FitObjective(weight: Samples.matrix(40, 48, seed: 6), input: moment)
        let modes = TensorModes(output: [8, 5], input: [6, 8])
        for format in [
            Format.lowRank(rank: 20), .pivotedLowRank(rank: 20),
            .mixture([.pivotedLowRank(rank: 12), .tensorTrain(modes, ranks: [8])]),
        ] {
            let (network, fitted) = try Factorization.fit(objective, format: format)
            let errors = try WeightRounding.allCases.map {
                try objective.relativeError(
                    of: network.quantized(as: type, for: objective, $0).reconstructed(as: .float64))
                    - fitted
            }
            #expect(errors[1] < 0.9 * errors[0], "\(format): \(errors), \(fitted) before")
        }
        let dense = try WeightRounding.allCases.map {
            try objective.relativeError(
                of: QuantizedNetwork(quantizing: objective.target, as: type, for: objective, $0)
                    .reconstructed(as: .float64))
        }
        #expect(dense[1] < 0.9 * dense[0])
    }

    @Test("matrices with one input factor share it to the bit")
    func sharing() throws {
        let moment = try SecondMoment(
            Samples.moment(32, seed: 8), size: 32, shrinkage: 0.01, name: "the moment")
        let objectives = try [1, 2].map {
            try FitObjective(weight: Samples.matrix(24, 32, seed: $0), moment: moment)
        }
        let stored = try SharedInputFit(objectives, rank: 16).quantized(as: .int8, .compensated)
        let inputs = stored.map { $0.matrix("input").elements }
        #expect(try (inputs[0].equals(inputs[1])).all().scalar() == 1)
        for (network, objective) in zip(stored, objectives) {
            #expect(try objective.relativeError(of: network.reconstructed(as: .float64)) < 0.7)
        }
    }

    @Test("scales that are no numbers above zero, or of the wrong size or type, are refused")
    func scales() throws {
        let elements = try Tensor.zeros([2, 3], .int8)
        for wrong: [Float] in [[1, 0], [1, -1], [.nan, 1], [1, .infinity]] {
            #expect(throws: NetworkError.scale(part: "core.0")) {
                try QuantizedMatrix(elements: elements, scales: Tensor(wrong), name: "core.0")
            }
        }
        #expect(
            throws: NetworkError.shape(part: "core.0.scales", expected: [2], found: [3])
        ) {
            try QuantizedMatrix(elements: elements, scales: Tensor.ones([3]), name: "core.0")
        }
        #expect(
            throws: NetworkError.elementType(
                part: "core.0.scales", expected: "F32", found: .float64)
        ) {
            try QuantizedMatrix(
                elements: elements, scales: Tensor.ones([2], .float64), name: "core.0")
        }
        // A row number outside of the matrix must never reach code that trusts it.
        let parts: [String: Tensor] = [
            "basis": try Tensor.zeros([2, 3], .int8), "basis.scales": try Tensor.ones([2]),
            "coefficients": try Tensor.zeros([2, 2], .int8),
            "coefficients.scales": try Tensor.ones([2]), "pivots": try Tensor([Int32(0), 9]),
        ]
        #expect(throws: NetworkError.pivot(9, rows: 4)) {
            try QuantizedNetwork(
                format: .pivotedLowRank(rank: 2), rows: 4, columns: 3, as: .int8
            ) { try #require(parts[$0]) }
        }
    }

    @Test("a pivoted pair with its kept rows written out is the same matrix", arguments: types)
    func writtenOut(_ type: ElementType) throws {
        let pivoted = try PivotedLowRank(
            basis: Samples.matrix(4, 11, seed: 2), coefficients: Samples.matrix(5, 4, seed: 3),
            pivots: Tensor([7, 0, 3, 8] as [Int32]))
        let exact = try pivoted.reconstructed()
        let pair = try pivoted.lowRank()
        #expect(try (pair.reconstructed() - exact).norm().scalar() == 0)

        let format = Format.pivotedLowRank(rank: 4)
        let network = try QuantizedNetwork(format: format, rows: 9, columns: 11, as: type) {
            switch $0 {
            case "pivots": pivoted.pivots
            case "basis": try QuantizedMatrix(quantizing: pivoted.basis, as: type).elements
            case "basis.scales": try QuantizedMatrix(quantizing: pivoted.basis, as: type).scales
            case "coefficients":
                try QuantizedMatrix(quantizing: pivoted.coefficients, as: type).elements
            default: try QuantizedMatrix(quantizing: pivoted.coefficients, as: type).scales
            }
        }
        let (output, input) = try network.lowRank()
        let product = try output.dequantized(as: .float64)
            .matmul(input.dequantized(as: .float64))
        let error = try (product - network.reconstructed(as: .float64)).norm().scalar()
        #expect(error <= 1e-6 * (try product.norm().scalar()))
    }
}
