import Foundation
import Tensors
import Testing

@testable import Generate

@Suite("Sampler")
struct SamplerTests {
    /// Standard normal logits times `scale`.
    static func logits(_ count: Int, seed: UInt64, scale: Double = 2) -> [Float] {
        var random = RandomSource(seed: seed)
        return (0..<count).map { _ in
            let radius = (-2 * log(1 - random.unit())).squareRoot()
            return Float(scale * radius * cos(2 * Double.pi * random.unit()))
        }
    }

    static func options(
        temperature: Double = 1, topK: Int? = nil, topP: Double = 1, minP: Double = 0,
        penalty: Double = 1, seed: UInt64 = 0
    ) -> SamplingOptions {
        var options = SamplingOptions()
        options.temperature = temperature
        options.topK = topK
        options.topP = topP
        options.minP = minP
        options.repetitionPenalty = penalty
        options.seed = seed
        return options
    }

    // MARK: Greedy

    @Test("temperature 0 takes the likeliest, the first of equals, whatever else is asked")
    func greedy() throws {
        var sampler = try Sampler(SamplingOptions())
        #expect(sampler.next([0, 3, -1, 3, 2]) == 1)
        #expect(sampler.next([-5, -5, -5]) == 0)
        #expect(sampler.next([-.infinity, -2, -.infinity]) == 1)
        #expect(sampler.next([7]) == 0)
        var cut = try Sampler(Self.options(temperature: 0, topK: 2, topP: 0.1, minP: 0.9))
        for seed in 0..<20 {
            let logits = Self.logits(50, seed: UInt64(seed))
            #expect(cut.next(logits) == logits.firstIndex(of: logits.max() ?? 0))
        }
    }

    // MARK: Cut-offs

    /// The tokens that stay and their probabilities by definition: no sorting, no running sums.
    private static func bruteForce(_ logits: [Float], _ options: SamplingOptions) -> [Int: Double] {
        let raw = logits.map { exp(Double($0) / options.temperature) }
        var kept = Set(raw.indices)
        func normalized() -> [Int: Double] {
            let total = kept.reduce(0) { $0 + raw[$1] }
            return Dictionary(uniqueKeysWithValues: kept.map { ($0, raw[$0] / total) })
        }
        if let topK = options.topK {
            // A token stays when fewer than k are likelier.
            kept = kept.filter { token in raw.count { $0 > raw[token] } < topK }
        }
        if options.topP < 1 {
            // A token stays when those likelier than it do not reach p.
            let now = normalized()
            kept = kept.filter { token in
                now.values.filter { $0 > now[token, default: 0] }.reduce(0, +) < options.topP
            }
        }
        if options.minP > 0 {
            let now = normalized()
            let best = now.values.max() ?? 0
            kept = kept.filter { now[$0, default: 0] >= options.minP * best }
        }
        return normalized()
    }

    static let cuts = [
        options(), options(temperature: 0.3), options(temperature: 2.5), options(topK: 1),
        options(topK: 7), options(topK: 400), options(topP: 0.9), options(topP: 1e-6),
        options(topP: 0.999), options(minP: 0.05), options(minP: 1),
        options(temperature: 0.7, topK: 40, topP: 0.8, minP: 0.02),
        options(temperature: 1.7, topK: 12, topP: 0.95), options(topK: 5, minP: 0.3),
        options(topP: 0.7, minP: 0.1),
    ]

    @Test("distribution is that of the definitions of top-k, top-p and min-p", arguments: cuts)
    func cutOffs(_ options: SamplingOptions) throws {
        let sampler = try Sampler(options)
        for seed in 0..<30 {
            let logits = Self.logits(60, seed: UInt64(seed))
            let expected = Self.bruteForce(logits, options)
            let found = sampler.distribution(logits)
            #expect(Set(found.map(\.token)) == Set(expected.keys))
            for (token, probability) in found {
                // Sums of 60 float64 terms, of which each side has two.
                #expect(abs(probability - expected[token, default: 0]) <= 60 * 0x1p-52)
            }
            #expect(zip(found, found.dropFirst()).allSatisfy { $0.probability >= $1.probability })
        }
    }

    @Test("equal logits: top-k keeps k, the first ones")
    func ties() throws {
        let found = try Sampler(Self.options(topK: 3)).distribution([1, 2, 2, 1, 2, 2])
        #expect(found.map(\.token) == [1, 2, 4])
        #expect(found.allSatisfy { abs($0.probability - 1.0 / 3) < 1e-15 })
    }

    @Test("huge logits and impossible tokens do not upset the probabilities")
    func extremes() throws {
        let found = try Sampler(Self.options(temperature: 0.01)).distribution(
            [3e4, -.infinity, 3e4, -3e4])
        #expect(found.map(\.token) == [0, 2, 1, 3])
        #expect(found.map(\.probability) == [0.5, 0.5, 0, 0])
    }

    // MARK: Draws

    @Test(
        "draws follow the distribution",
        arguments: [
            options(), options(temperature: 0.6, topK: 9), options(temperature: 1.4, topP: 0.85),
        ])
    func chiSquare(_ options: SamplingOptions) throws {
        let logits = Self.logits(24, seed: 3, scale: 1)
        var sampler = try Sampler(options)
        let expected = Self.bruteForce(logits, options)
        let draws = 40_000
        var counts = Array(repeating: 0, count: logits.count)
        for _ in 0..<draws { counts[sampler.next(logits)] += 1 }
        for token in counts.indices where expected[token] == nil { #expect(counts[token] == 0) }
        let chiSquare = expected.reduce(0.0) { sum, entry in
            let mean = Double(draws) * entry.value
            let difference = Double(counts[entry.key]) - mean
            return sum + difference * difference / mean
        }
        // Wilson–Hilferty: (χ²/k)^⅓ is close to normal with mean 1 − 2/9k and variance 2/9k. For a
        // correct sampler five deviations are exceeded with probability 3e-7, once for all as the seed
        // is fixed; below five deviations the draws would be too regular.
        let freedom = Double(expected.count - 1)
        let deviation =
            (cbrt(chiSquare / freedom) - (1 - 2 / (9 * freedom)))
            / (2 / (9 * freedom)).squareRoot()
        print("chi-square of \(draws) draws: \(chiSquare) at \(freedom), \(deviation) deviations")
        #expect(abs(deviation) < 5)
    }

    @Test("the same seed gives the same draws, another one others")
    func seeds() throws {
        func draws(_ seed: UInt64) throws -> [Int] {
            var sampler = try Sampler(Self.options(seed: seed))
            return (0..<100).map { sampler.next(Self.logits(200, seed: UInt64($0))) }
        }
        #expect(try draws(5) == draws(5))
        #expect(try draws(5) != draws(6))
    }

    // MARK: Repetition penalty

    @Test("divides positive and multiplies negative logits of the tokens that occurred")
    func penalty() throws {
        let logits: [Float] = [4, 3.9, -1, -1.1]
        var sampler = try Sampler(Self.options(temperature: 0, penalty: 1.5))
        #expect(sampler.next(logits) == 0)  // remembers 0: 4 / 1.5 = 2.67
        #expect(sampler.next(logits) == 1)  // remembers 1: 2.6
        #expect(sampler.next(logits) == 0)
        var negative = try Sampler(Self.options(temperature: 0, penalty: 1.5))
        negative.observe([0, 1, 2, 2])
        #expect(negative.next([-1, -1.2, -0.8, -1.1]) == 3)  // −1.5, −1.8, −1.2, −1.1
        // Occurring twice counts once: −1.2 still beats −1.3.
        #expect(negative.next([-9, -9, -0.8, -9]) == 2)
    }

    @Test("the penalised distribution is that of penalised logits")
    func penalizedDraws() throws {
        let logits = Self.logits(12, seed: 8)
        let seen = [2, 5, 7]
        let penalized = logits.enumerated().map { index, logit in
            !seen.contains(index) ? logit : logit > 0 ? logit / 1.3 : logit * 1.3
        }
        for seed in 0..<200 {
            var sampler = try Sampler(Self.options(penalty: 1.3, seed: UInt64(seed)))
            sampler.observe(seen + [99])  // beyond the vocabulary: of no consequence
            var plain = try Sampler(Self.options(seed: UInt64(seed)))
            #expect(sampler.next(logits) == plain.next(penalized))
        }
    }

    // MARK: Errors

    @Test(
        "options that mean nothing are refused",
        arguments: [
            (options(temperature: -0.1), SamplingOptionsError.temperature(-0.1)),
            (options(temperature: .infinity), .temperature(.infinity)),
            (options(topK: 0), .topK(0)), (options(topK: -3), .topK(-3)),
            (options(topP: 0), .topP(0)), (options(topP: 1.01), .topP(1.01)),
            (options(minP: -0.01), .minP(-0.01)), (options(minP: 1.5), .minP(1.5)),
            (options(penalty: 0), .repetitionPenalty(0)),
            (options(penalty: .infinity), .repetitionPenalty(.infinity)),
        ])
    func validation(_ options: SamplingOptions, _ expected: SamplingOptionsError) {
        #expect(throws: expected) { _ = try Sampler(options) }
        #expect(!expected.description.isEmpty)
    }

    @Test("NaN is refused everywhere")
    func notANumber() {
        for options in [
            Self.options(temperature: .nan), Self.options(topP: .nan), Self.options(minP: .nan),
            Self.options(penalty: .nan),
        ] {
            #expect(throws: SamplingOptionsError.self) { _ = try Sampler(options) }
        }
    }
}
