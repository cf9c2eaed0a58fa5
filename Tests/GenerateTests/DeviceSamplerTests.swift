import Foundation
import Kernels
import Tensors
import Testing

@testable import Generate

@Suite("Sampling on a GPU", .enabled(if: DeviceTestMachine.hasDevice, "there is no GPU"))
struct DeviceSamplerTests {
    private let sampler: DeviceSampler
    private let device = Device.cuda(0)

    init() throws {
        let opened = try CUDADevice.open(0)
        sampler = DeviceSampler(
            try DeviceKernels(opened), try CUDAStream(on: opened), on: .cuda(0))
    }

    private func found(_ rows: [[Float]], _ choices: [TokenChoice?]) throws -> [Int32] {
        let logits = try Tensor(
            rows.flatMap { $0 }, shape: [rows.count, rows[0].count], on: device)
        return try sampler.tokens(out: logits, choices)
    }

    /// How far `uniform` is from where `token` would be drawn, by the definition; 0 where it is drawn.
    private func distance(
        _ token: Int32, _ logits: [Float], _ choice: TokenChoice
    ) throws -> Double {
        let sampler = try Sampler(choice.options)
        let penalty = Float(choice.options.repetitionPenalty)
        var penalized = logits
        for token in choice.seen {
            let logit = penalized[token]
            penalized[token] = logit > 0 ? logit / penalty : logit * penalty
        }
        var sum = 0.0
        for (candidate, probability) in sampler.distribution(penalized) {
            if candidate == token {
                return max(0, max(sum - choice.uniform, choice.uniform - sum - probability))
            }
            sum += probability
        }
        return .infinity
    }

    static let sizes = [1, 2, 33, 1_003, 2_049, 32_000, 151_936, 262_144]

    @Test("the likeliest token, the first of equals, with a penalty and without", arguments: sizes)
    func greedy(vocabulary: Int) throws {
        var rows: [[Float]] = []
        var choices: [TokenChoice?] = []
        var expected: [Int32] = []
        for seed in 0..<5 {
            let logits = SamplerTests.logits(vocabulary, seed: UInt64(seed))
                .map { seed == 4 ? ($0 * 2).rounded() : $0 }
            let options = SamplerTests.options(temperature: 0, penalty: seed % 2 == 0 ? 1 : 1.5)
            var host = try Sampler(options)
            let likeliest = logits.firstIndex(of: logits.max() ?? 0) ?? 0
            host.observe([likeliest, vocabulary / 2])
            choices.append(seed == 2 ? nil : host.choice)
            rows.append(logits)
            expected.append(Int32(host.next(logits)))
        }
        let tokens = try found(rows, choices)
        #expect(tokens == expected)
    }

    @Test(
        "a uniform number falls on the token of the host's distribution, up to rounding",
        arguments: sizes, SamplerTests.cuts)
    func draws(vocabulary: Int, options: SamplingOptions) throws {
        var options = options
        var rows: [[Float]] = []
        var choices: [TokenChoice?] = []
        for row in 0..<6 {
            // Flat, peaked, all the same, and with many ties.
            let logits = SamplerTests.logits(
                vocabulary, seed: UInt64(row), scale: [0.1, 1, 3, 0, 8, 2][row]
            ).map { row == 5 ? $0.rounded() : $0 }
            options.repetitionPenalty = row % 2 == 0 ? 1 : 1.3
            var host = try Sampler(options)
            host.observe((0..<20).map { $0 * 7_919 % vocabulary })
            for _ in 0..<row { host.accept(0) }
            choices.append(host.choice)
            rows.append(logits)
        }
        let tokens = try found(rows, choices)
        for (index, token) in tokens.enumerated() {
            guard let choice = choices[index] else { continue }
            let distance = try distance(token, rows[index], choice)
            #expect(distance < 1e-5, "row \(index): \(token), \(distance)")
        }
    }

    @Test("the same numbers give the same tokens, alone and among others")
    func repeated() throws {
        let options = SamplerTests.options(temperature: 0.8, topK: 50, topP: 0.9, penalty: 1.1)
        let rows = (0..<40).map { SamplerTests.logits(151_936, seed: UInt64($0)) }
        let choices: [TokenChoice?] = rows.indices.map {
            TokenChoice(
                options: options, seen: [1, 5, $0], uniform: Double($0) / Double(rows.count))
        }
        let together = try found(rows, choices)
        for index in stride(from: 0, to: rows.count, by: 13) {
            let alone = try found([rows[index]], [choices[index]])
            #expect(alone == [together[index]])
        }
    }

    @Test("what is no finite number is flagged in its own row only")
    func notFinite() throws {
        for bad in [Float.nan, .infinity, -.infinity] {
            var rows = (0..<3).map { SamplerTests.logits(5_000, seed: UInt64($0)) }
            rows[1][4_321] = bad
            for temperature in [0.0, 1] {
                let choice = TokenChoice(
                    options: SamplerTests.options(temperature: temperature), seen: [],
                    uniform: 0.3)
                let tokens = try found(rows, [choice, choice, choice])
                #expect(tokens[1] == -1 && tokens[0] >= 0 && tokens[2] >= 0)
            }
        }
    }

    @Test("rows without a choice give their logits")
    func mixed() throws {
        let rows = (0..<3).map { SamplerTests.logits(100, seed: UInt64($0)) }
        let logits = try Tensor(rows.flatMap { $0 }, shape: [3, 100], on: device)
        let choice = try Sampler(SamplingOptions()).choice
        let predictions = try sampler.predictions(out: logits, [choice, nil, choice])
        guard case .token(let first) = predictions[0], case .logits(let values) = predictions[1],
            case .token = predictions[2]
        else {
            Issue.record("\(predictions)")
            return
        }
        #expect(values == rows[1])
        #expect(first == rows[0].firstIndex(of: rows[0].max() ?? 0))
    }
}
