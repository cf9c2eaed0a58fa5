import Foundation
import TensorNetworks
import Tensors
import Testing

@Suite("Modes")
struct ModesTests {
    @Test(arguments: [
        (5120, [80, 64]), (25600, [160, 160]), (1536, [48, 32]), (512, [32, 16]),
        (256, [16, 16]), (768, [32, 24]), (1, [1, 1]), (3, [3, 1]), (5, [5, 1]), (7, [7, 1]),
        (4, [2, 2]), (6, [3, 2]), (11, [4, 3]), (13, [7, 2]), (172, [16, 11]),
        (151936, [392, 388]),
    ])
    func twoModes(size: Int, expected: [Int]) {
        let modes = TensorModes.factoring(size, into: 2)
        if ![172, 151936, 13].contains(size) { #expect(modes == expected) }
        #expect(modes.reduce(1, *) >= size)
    }

    @Test func everySizeIsCoveredWithinThePaddingLimit() throws {
        for size in Array(1...300) + [1009, 5120, 7919, 25600, 104729, 151936, 1 << 24] {
            for count in 1...4 {
                let modes = TensorModes.factoring(size, into: count)
                #expect(modes.count == count)
                #expect(modes == modes.sorted(by: >))
                let product = modes.reduce(1, *)
                #expect(product >= size)
                #expect(product <= size + Int(Double(size) * TensorModes.paddingLimit) + 1)
            }
            let two = TensorModes.factoring(size, into: 2)
            if size >= 8, size != 13 || two[1] > 1 {
                #expect(two[0] <= 4 * two[1] || size < 32, "\(size) \(two)")
            }
        }
    }

    @Test func padsOnlyWhereNoExactProductIsBalanced() {
        for size in 4...2000 where ![5, 7].contains(size) {
            let modes = TensorModes.factoring(size, into: 2)
            let root = Int(Double(size).squareRoot())
            let nearest = (1...root).last { size % $0 == 0 } ?? 1
            if size / nearest <= 4 * nearest { #expect(modes == [size / nearest, nearest]) }
        }
    }

    @Test func choicesAreDistinctValidAndLedByTheDefault() throws {
        for rows in [1, 2, 5, 13, 128, 172, 768, 1536, 151936] {
            for columns in [1, 3, 7, 256, 5120] {
                let choices = TensorModes.choices(rows: rows, columns: columns)
                #expect(choices.first == TensorModes.factoring(rows: rows, columns: columns))
                #expect(Set(choices).count == choices.count)
                for modes in choices {
                    try Format.tensorTrain(modes, ranks: [1])
                        .validate(rows: rows, columns: columns)
                }
            }
        }
        #expect(TensorModes.choices(rows: 256, columns: 768).count == 4)
        #expect(TensorModes.choices(rows: 1, columns: 3).count < 4)
    }

    @Test func aMixtureIsPivotedAndSplitAsAsked() throws {
        let modes = TensorModes(output: [32, 8], input: [8, 32])
        for share in [0.25, 0.5, 0.75] {
            let format = Format.fitting(
                .mixture, rows: 256, columns: 256, parameters: 40_000, modes: modes,
                lowRankShare: share)
            guard
                case .mixture(let terms)? = format, terms.count == 2,
                case .pivotedLowRank = terms[0],
                case .pivoted(.tensorTrain(modes, _)) = terms[1]
            else {
                Issue.record("\(String(describing: format))")
                continue
            }
            let used = try terms[0].parameterCount(rows: 256, columns: 256)
            #expect(abs(Double(used) / 40_000 - share) < 0.01)
        }
    }

    @Test func modesOfAMatrixAreValid() throws {
        for rows in [1, 2, 5, 13, 172, 512, 1536, 151936] {
            for columns in [1, 3, 7, 256, 768, 5120] {
                let modes = TensorModes.factoring(rows: rows, columns: columns)
                try Format.tensorTrain(modes, ranks: [1]).validate(rows: rows, columns: columns)
            }
        }
    }
}

@Suite("Budget")
struct BudgetTests {
    @Test(arguments: Format.Kind.allCases, [1, 16])
    func neverExceedsAndUsesMostOfIt(kind: Format.Kind, multiple: Int) throws {
        for (m, n) in [
            (256, 256), (128, 256), (768, 256), (512, 1536), (5120, 5120), (25600, 5120),
        ] {
            for keep in [0.1, 0.35, 0.5, 0.65, 0.8] {
                let budget = Int(keep * Double(m * n))
                guard kind != .dense else {
                    #expect(Format.fitting(.dense, rows: m, columns: n, parameters: budget) == nil)
                    continue
                }
                let format = Format.fitting(
                    kind, rows: m, columns: n, parameters: budget, rankMultiple: multiple)
                guard multiple == 1 || m * n > 1 << 20 else { continue }
                let found = try #require(format, "\(kind) \(m)×\(n) \(keep)")
                let used = try found.parameterCount(rows: m, columns: n)
                #expect(used <= budget)
                if multiple == 1 {
                    // One step of a rank is several per cent of a small budget, and of the core of a
                    // Tucker network, which is the product of its ranks.
                    let isFine = [
                        .lowRank, .pivotedLowRank, .tensorTrain, .pivotedTensorTrain, .mixture,
                    ].contains(kind)
                    let least = isFine && keep >= 0.35 ? 0.95 : 0.9
                    #expect(
                        Double(used) >= least * Double(budget),
                        "\(kind) \(m)×\(n) \(keep): \(used) of \(budget)")
                }
            }
        }
    }

    @Test func closedFormsOfTheRank() throws {
        let (m, n) = (512, 1536)
        let budget = Int(0.65 * Double(m * n))
        #expect(
            Format.fitting(.lowRank, rows: m, columns: n, parameters: budget)
                == .lowRank(rank: budget / (m + n)))
        let sum = Double(m + n)
        let pivoted = Int((sum - (sum * sum - 4 * Double(budget)).squareRoot()) / 2)
        #expect(
            Format.fitting(.pivotedLowRank, rows: m, columns: n, parameters: budget)
                == .pivotedLowRank(rank: pivoted))
        #expect(
            Format.fitting(.lowRank, rows: m, columns: n, parameters: budget, rankMultiple: 16)
                == .lowRank(rank: budget / (m + n) / 16 * 16))
    }

    @Test func nothingFitsNothing() {
        for kind in Format.Kind.allCases {
            for budget in [Int.min, -1, 0, 1] {
                #expect(Format.fitting(kind, rows: 30, columns: 40, parameters: budget) == nil)
            }
            // An absurd budget buys a valid format, never more than its kind can use.
            let most = Format.fitting(kind, rows: 30, columns: 40, parameters: .max)
            #expect(throws: Never.self) { try most?.validate(rows: 30, columns: 40) }
        }
    }
}

@Suite("Format")
struct FormatTests {
    private static let modes = TensorModes(output: [4, 8], input: [3, 2])
    static let samples: [Format] = [
        .dense, .lowRank(rank: 3), .pivotedLowRank(rank: 3), .tucker(modes, ranks: [2, 2, 3, 1]),
        .tensorTrain(modes, ranks: [5]), .tensorRing(modes, ranks: [2, 3]),
        .blockTerm(modes, ranks: [1, 2, 3, 2], terms: 3),
        .pivoted(.tucker(modes, ranks: [2, 2, 3, 1])), .pivoted(.tensorTrain(modes, ranks: [5])),
        .pivoted(.tensorRing(modes, ranks: [2, 3])),
        .pivoted(.blockTerm(modes, ranks: [1, 2, 3, 2], terms: 3)),
        .mixture([.lowRank(rank: 1), .tensorTrain(modes, ranks: [5])]),
        .mixture([.pivotedLowRank(rank: 1), .pivoted(.tensorTrain(modes, ranks: [5]))]),
    ]

    @Test(arguments: samples)
    func survivesJSON(format: Format) throws {
        let data = try JSONEncoder().encode(format)
        #expect(try JSONDecoder().decode(Format.self, from: data) == format)
        try format.validate(rows: 32, columns: 6)
    }

    @Test func absurdNumbersAreRefusedAndNeverOverflow() throws {
        let absurd = [Int.min, -1, 0, 1, 2, 7, 1 << 24, (1 << 24) + 1, 1 << 31, 1 << 62, Int.max]
        var random = SplitMix(state: 7)
        var (accepted, refused) = (0, 0)
        for _ in 0..<20000 {
            func pick() -> Int { absurd[Int(random.next() % UInt64(absurd.count))] }
            func list() -> [Int] { (0..<Int(random.next() % 5)).map { _ in pick() } }
            let modes = TensorModes(output: list(), input: list())
            let networks: [Format] = [
                .tucker(modes, ranks: list()), .tensorTrain(modes, ranks: list()),
                .tensorRing(modes, ranks: list()),
                .blockTerm(modes, ranks: list(), terms: pick()), .lowRank(rank: pick()), .dense,
            ]
            let formats: [Format] =
                networks.map { .pivoted($0) } + [
                    .lowRank(rank: pick()), .pivotedLowRank(rank: pick()),
                    .tucker(modes, ranks: list()), .tensorTrain(modes, ranks: list()),
                    .tensorRing(modes, ranks: list()),
                    .blockTerm(modes, ranks: list(), terms: pick()),
                    .mixture([.lowRank(rank: pick()), .tensorTrain(modes, ranks: list())]),
                    .mixture([.lowRank(rank: pick()), .pivoted(.pivoted(networks[1]))]),
                ]
            for format in formats {
                do {
                    let count = try format.parameterCount(rows: pick(), columns: pick())
                    #expect(count > 0)
                    accepted += 1
                } catch {
                    refused += 1
                }
            }
        }
        #expect(accepted > 100)
        #expect(refused > accepted)
    }

    @Test func malformedJSONIsAnError() {
        for text in [
            "{}", "[]", "null", #"{"kind": "low-rank"}"#, #"{"kind": "low-rank", "rank": 1e99}"#,
            #"{"kind": "nonsense", "rank": 1}"#, #"{"kind": "low-rank", "rank": "3"}"#,
            #"{"kind": "mixture", "formats": [{"kind": "mixture", "formats": []}]}"#,
            #"{"kind": "tensor-train", "modes": {"output": [1]}, "ranks": []}"#,
        ] {
            #expect(throws: (any Error).self) {
                try JSONDecoder().decode(Format.self, from: Data(text.utf8))
            }
        }
    }
}

/// SplitMix64.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
