import TensorNetworks
import Tensors
import Testing

@testable import Generate

/// Networks of awkward shapes: modes that cover more than the matrix, ranks and modes of any number.
enum ContractionCase: String, CaseIterable, Sendable {
    case train, longTrain, paddedTrain, singleTrain, ring, pairRing, paddedRing, tucker, deepTucker

    var format: Format {
        switch self {
        case .train: .tensorTrain(TensorModes(output: [8, 16], input: [16, 8]), ranks: [24])
        case .longTrain:
            .tensorTrain(TensorModes(output: [3, 5, 4], input: [7, 2, 6]), ranks: [11, 9])
        case .paddedTrain:
            .tensorTrain(TensorModes(output: [9, 11], input: [13, 5]), ranks: [17])
        case .singleTrain: .tensorTrain(TensorModes(output: [40], input: [56]), ranks: [])
        case .ring:
            .tensorRing(TensorModes(output: [4, 6, 5], input: [3, 8, 4]), ranks: [5, 7, 6])
        case .pairRing: .tensorRing(TensorModes(output: [16, 8], input: [8, 24]), ranks: [6, 8])
        case .paddedRing:
            .tensorRing(TensorModes(output: [7, 10], input: [9, 11]), ranks: [4, 5])
        case .tucker:
            .tucker(TensorModes(output: [8, 12], input: [16, 8]), ranks: [5, 8, 16, 3])
        case .deepTucker:
            .tucker(
                TensorModes(output: [4, 5, 3], input: [3, 7, 4]), ranks: [4, 3, 3, 2, 6, 3])
        }
    }

    /// Rows and columns.
    var shape: (Int, Int) {
        switch self {
        case .train: (128, 128)
        case .longTrain: (60, 84)
        case .paddedTrain: (97, 64)
        case .singleTrain: (40, 56)
        case .ring: (120, 96)
        case .pairRing: (128, 192)
        case .paddedRing: (68, 96)
        case .tucker: (96, 128)
        case .deepTucker: (60, 84)
        }
    }

    func network(as type: ElementType, on device: Device) throws -> Factorization {
        try Factorization.random(
            format, rows: shape.0, columns: shape.1, seed: 5, as: type, on: device)
    }
}

@Suite("Contractions as products of matrices")
struct ContractionPlanTests {
    /// What the plan's tables say, one number at a time.
    private func applied(_ plan: ContractionPlan, _ x: [Float]) throws -> [Float] {
        var values = x
        for step in plan.steps {
            let matrix = try step.matrix.elements(as: Float.self)
            let pitch = step.matrix.shape[1]
            #expect(pitch % 8 == 0 && pitch - step.terms < 8)
            var next = [Float](repeating: .nan, count: step.outputWidth)
            for (row, rowPlace) in step.outputRows.enumerated() {
                for (column, columnPlace) in step.outputColumns.enumerated() {
                    var sum: Float = 0
                    for term in 0..<step.terms {
                        let place =
                            Int(step.inputColumns[column])
                            + Int(step.inputTerms?[term] ?? Int32(term))
                        guard place < step.inputWidth else { continue }
                        sum += matrix[row * pitch + term] * values[place]
                    }
                    let place = Int(rowPlace + columnPlace)
                    if place < next.count { next[place] = sum }
                }
            }
            values = next
        }
        return values
    }

    @Test("give what the network gives", arguments: ContractionCase.allCases)
    func chain(_ which: ContractionCase) throws {
        let network = try which.network(as: .float32, on: .cpu)
        let made = try ContractionPlan(network)
        let plan = try #require(made)
        let x = try Tensor.normal([1, network.columns], seed: 3)
        let found = try applied(plan, x.elements(as: Float.self))
        let expected = try network.apply(x).elements(as: Float.self)
        #expect(found.count == expected.count)
        let scale = expected.map(abs).max() ?? 0
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-4 * scale) }
    }

    @Test("terms stand one behind the other in every step but perhaps the first")
    func straight() throws {
        for which in ContractionCase.allCases {
            let network = try which.network(as: .float32, on: .cpu)
            let made = try ContractionPlan(network)
            let plan = try #require(made)
            #expect(plan.steps.dropFirst().allSatisfy { $0.inputTerms == nil })
        }
        let square = try Factorization.random(
            .tensorTrain(TensorModes(output: [16, 16], input: [16, 16]), ranks: [24]), rows: 256,
            columns: 256, seed: 5, as: .float32, on: .cpu)
        let made = try ContractionPlan(square)
        let train = try #require(made)
        #expect(train.steps[0].inputTerms == nil && train.steps[0].isWide)
    }

    @Test("pairs and sums are not chains")
    func others() throws {
        let pair = try Factorization.random(
            .lowRank(rank: 4), rows: 16, columns: 16, seed: 1, as: .float32, on: .cpu)
        #expect(try ContractionPlan(pair) == nil)
    }
}
