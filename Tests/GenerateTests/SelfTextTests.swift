import Artifacts
import Foundation
import Models
import Tensors
import Testing

@testable import Generate

@Suite("SelfText")
struct SelfTextTests {
    private let tiny: CausalLanguageModel

    init() throws {
        tiny = try CausalLanguageModel(
            Checkpoint(TestData.tiny), ModelConfiguration(folder: TestData.tiny))
    }

    private func sample(seed: UInt64, sequences: Int = 3, length: Int = 20) throws -> [[Int]] {
        var text = SelfText()
        text.sequences = sequences
        text.length = length
        text.seed = seed
        return try text.sample(from: tiny, start: 0)
    }

    @Test("has the shape that was asked for, begins with the start, stays in the vocabulary")
    func shape() throws {
        var steps: [Int] = []
        var text = SelfText()
        text.sequences = 3
        text.length = 20
        let sampled = try text.sample(from: tiny, start: 7) { steps.append($0) }
        #expect(sampled.map(\.count) == [20, 20, 20])
        #expect(sampled.allSatisfy { $0[0] == 7 })
        #expect(sampled.joined().allSatisfy { (0..<4_096).contains($0) })
        #expect(Set(sampled).count == 3)
        #expect(steps == Array(1..<20))
    }

    @Test("the same seed writes the same text, another one another")
    func determinism() throws {
        #expect(try sample(seed: 1) == sample(seed: 1))
        #expect(try sample(seed: 1) != sample(seed: 2))
    }

    @Test("first tokens follow the model's distribution")
    func distribution() throws {
        let draws = 4_000
        let first = try sample(seed: 3, sequences: draws, length: 2).map { $0[1] }
        let probabilities = try withoutGradients {
            try tiny.logits(try Tensor([0], shape: [1, 1])).softmax().elements(as: Double.self)
        }
        // Tokens expected ten times or more are classes of their own, the others one together.
        var (expected, found): ([Double], [Double]) = ([0], [0])
        for (token, probability) in probabilities.enumerated() {
            let (mean, count) = (Double(draws) * probability, Double(first.count { $0 == token }))
            if mean >= 10 {
                expected.append(mean)
                found.append(count)
            } else {
                expected[0] += mean
                found[0] += count
            }
        }
        let chiSquare = zip(expected, found).reduce(0.0) {
            $0 + ($1.0 - $1.1) * ($1.0 - $1.1) / $1.0
        }
        // Wilson–Hilferty, as in SamplerTests: five deviations, probability 3e-7.
        let freedom = Double(expected.count - 1)
        let deviation =
            (cbrt(chiSquare / freedom) - (1 - 2 / (9 * freedom)))
            / (2 / (9 * freedom)).squareRoot()
        print("SelfText chi-square: \(chiSquare) at \(freedom), \(deviation) deviations")
        #expect(freedom >= 10)
        #expect(abs(deviation) < 5)
    }

    @Test("every token is drawn anew, also later ones")
    func independence() throws {
        let (sequences, length) = (300, 5)
        let sampled = try sample(seed: 3, sequences: sequences, length: length)
        // Where each token lies in the distribution that it was drawn from: uniform and independent.
        let places = try withoutGradients {
            let ids = try Tensor(sampled.flatMap { $0 }, shape: [sequences, length])
            let probabilities = try tiny.logits(ids).narrowed(1, 0..<length - 1).softmax()
            let tokens = try ids.narrowed(1, 1..<length).unsqueezed(2)
            let sum = try probabilities.cumulativeSum(-1).gathered(tokens, along: 2)
            return try (sum - probabilities.gathered(tokens, along: 2) * 0.5)
                .elements(as: Double.self).map { $0 - 0.5 }
        }
        // A uniform variable has variance 1/12; five deviations of the mean and of the correlation of
        // neighbours, each exceeded by a correct sampler with probability 6e-7.
        let count = Double(places.count)
        let mean = places.reduce(0, +) / count
        #expect(abs(mean) < 5 / (12 * count).squareRoot())
        let neighbours = places.indices.filter { $0 % (length - 1) > 0 }
        let correlation =
            neighbours.reduce(0) { $0 + 12 * places[$1] * places[$1 - 1] }
            / Double(neighbours.count)
        print("SelfText: mean \(mean), correlation of neighbours \(correlation)")
        #expect(abs(correlation) < 5 / Double(neighbours.count).squareRoot())
    }
}
