import Artifacts
import Compress
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Compare

@Suite("Compared methods")
struct MethodTests {
    @Test("names are distinct, and each leads back to its method")
    func names() {
        let names = ComparedMethod.all.map(\.rawValue)
        #expect(Set(names).count == names.count)
        for method in ComparedMethod.all {
            #expect(ComparedMethod(rawValue: method.rawValue) == method)
            #expect(!method.summary.contains("\n"))
        }
        #expect(ComparedMethod(rawValue: "ablation-nothing") == nil)
        #expect(AblationStep.all.last?.fit == FitSettings(), "the last step is the whole method")
    }

    @Test(
        "basis sharing: pairs of blocks, one input factor each, within the budget",
        arguments: [2, 4])
    func basisSharing(groupSize: Int) throws {
        let configuration = try ModelConfiguration(folder: TestModel.tiny)
        let checkpoint = try Checkpoint(TestModel.tiny)
        let plan = try CompressionPlan(
            basisSharing: 0.5, groupSize: groupSize, of: [.query, .gate], for: checkpoint,
            configuration, source: checkpoint.fingerprint())
        try plan.validate()
        #expect(plan.matrices.map(\.name) == configuration.linearModules.map(\.name))
        // Six blocks: three pairs, or four blocks and two.
        #expect(plan.sharedInputs.count == 2 * (groupSize == 2 ? 3 : 2))
        for group in plan.sharedInputs {
            let (rows, columns) = (group[0].rows, group[0].columns)
            guard case .lowRank(let rank) = group[0].patches[0].format else {
                Issue.record("a shared factor is of low rank")
                continue
            }
            let stored = try group.reduce(0) { try $0 + $1.patches[0].parameterCount() }
            #expect(stored == rank * (group.count * rows + columns))
            let budget = group.count * rows * columns / 2
            #expect(stored <= budget && stored + group.count * rows + columns > budget)
        }
        let all = configuration.linearModules.reduce(0) { $0 + $1.rows * $1.columns }
        #expect(try plan.parameterCount() * 2 <= all)
    }

    private func map() -> SensitivityMap {
        func candidate(_ format: Format, _ kl: Double, measured: Double? = nil) throws -> Candidate
        {
            try Candidate(
                format, rows: 64, columns: 64, as: .bfloat16, predictedKL: kl, measuredKL: measured)
        }
        let train = Format.fitting(.tensorTrain, rows: 64, columns: 64, parameters: 1_000)
        let formats: [(Format, Double)] =
            [(.pivotedLowRank(rank: 16), 0.2), (.pivotedLowRank(rank: 48), 0.1)]
            + (train.map { [($0, 0.15), (.mixture([.pivotedLowRank(rank: 4), $0]), 0.12)] } ?? [])
        return SensitivityMap(
            source: Fingerprint(hashing: [[1]]), settings: [:],
            matrices: [
                MatrixSensitivity(
                    name: "m", rows: 64, columns: 64, elementType: .bfloat16, score: 0, entropy: 1,
                    spectrum: [], candidates: formats.compactMap { try? candidate($0.0, $0.1) })
            ])
    }

    @Test("candidates of an ablation step: low rank costs what it stores, or is left out")
    func candidates() throws {
        let map = map()
        #expect(map.matrices[0].candidates.count == 4)
        let lowRank = try map.candidates(.lowRank)
        try lowRank.validate()
        // Rank 48 of a 64 × 64 matrix takes more values than the matrix.
        #expect(lowRank.matrices[0].candidates.map(\.format) == [.lowRank(rank: 16)])
        #expect(lowRank.matrices[0].candidates.map(\.predictedKL) == [0.2])
        let pivoted = try map.candidates(.pivotedLowRank)
        #expect(pivoted.matrices[0].candidates.map(\.predictedKL) == [0.2, 0.1])
        #expect(try map.candidates(.all) == map)
    }
}

@Suite("Comparison folder")
struct ComparisonFolderTests {
    private let source = Fingerprint(hashing: [[1]])
    private let common: [String: JSONValue] = [
        "evaluation": .object(["window": .integer(64), "windows": .string("all")])
    ]

    private func entry(
        _ method: String, source: Fingerprint? = nil, settings: [String: JSONValue]? = nil
    ) -> ComparisonEntry {
        ComparisonEntry(
            source: source ?? self.source, model: "m", method: method, keep: 0.65,
            settings: settings ?? common, linearParametersBefore: 10, linearParametersAfter: 6,
            bytesBefore: 20, bytesAfter: 12, predictedKL: nil, compressSeconds: 1, texts: [])
    }

    @Test("entries come back; those of others are refused by file and difference")
    func foreign() throws {
        try withFolder { path in
            let folder = try ComparisonFolder(path, source: source, common: common)
            try folder.write(entry("svd"))
            #expect(folder.contains("svd-0.65"))
            #expect(try folder.entries() == [entry("svd")])

            func refusal(_ foreign: ComparisonEntry) throws -> String {
                try folder.write(foreign)
                let error = try #require(throws: CompareError.self) { try folder.entries() }
                // One that is about to be measured again is not in the way.
                #expect(try folder.entries(but: ["\(foreign.method)-0.65"]).count == 1)
                try FileManager.default.removeItem(atPath: "\(path)/\(foreign.method)-0.65.json")
                return "\(error)"
            }
            let other = try refusal(entry("asvd", source: Fingerprint(hashing: [[2]])))
            #expect(other.contains("asvd-0.65.json") && other.contains("checkpoint"))
            let settings = try refusal(
                entry(
                    "asvd",
                    settings: [
                        "evaluation": .object(["window": .integer(32), "windows": .string("all")])
                    ]))
            #expect(settings.contains("evaluation: window;"), "\(settings)")
            let without = try refusal(entry("asvd", settings: [:]))
            #expect(without.contains("evaluation"))

            try FileManager.default.copyItem(
                atPath: "\(path)/svd-0.65.json", toPath: "\(path)/svd-0.5.json")
            let renamed = try #require(throws: CompareError.self) { try folder.entries() }
            #expect("\(renamed)".contains("svd-0.5.json"))
        }
    }

    @Test("an entry that another process works on is left to it")
    func locks() throws {
        try withFolder { path in
            let folder = try ComparisonFolder(path, source: source, common: common)
            var inner: Bool?
            let outer = try folder.withLock("svd-0.65", waiting: false) {
                inner = try folder.withLock("svd-0.65", waiting: false) {}
            }
            #expect(outer && inner == false)
            #expect(try folder.withLock("svd-0.65", waiting: true) {})
            folder.finish()
            #expect(try FileManager.default.contentsOfDirectory(atPath: path).isEmpty)
        }
    }
}
