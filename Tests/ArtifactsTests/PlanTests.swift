import TensorNetworks
import Tensors
import Testing

@testable import Artifacts

@Suite("Plan: fit settings and shared factors")
struct PlanTests {
    private func matrix(
        _ name: String, _ format: Format, sharing leader: String? = nil, columns: Int = 32,
        as type: ElementType = .bfloat16
    ) -> MatrixPlan {
        MatrixPlan(
            LinearModule(name: name, rows: 16, columns: columns, hasBias: false), format, as: type,
            sharingInputOf: leader)
    }

    private func plan(_ matrices: [MatrixPlan], fit: FitSettings? = nil) -> CompressionPlan {
        CompressionPlan(
            source: Fingerprint(hashing: [[1]]), settings: [:], fit: fit, matrices: matrices)
    }

    @Test("a plan keeps its fit and what shares what; a plan without either reads as before")
    func roundTrip() throws {
        var fit = FitSettings.unanchored(.diagonal, shrinkage: 0)
        fit.isTwoSided = true
        let full = plan(
            [matrix("a", .lowRank(rank: 4)), matrix("b", .lowRank(rank: 4), sharing: "a")],
            fit: fit)
        let bytes = try StrictJSON.encode(full)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(
            text.contains(#""metric" : "diagonal""#) && text.contains(#""shares_input_of" : "a""#))
        #expect(!text.contains("anchor"))
        #expect(try CompressionPlan(parsing: bytes, of: "plan") == full)
        #expect(full.sharedInputs.map { $0.map(\.name) } == [["a", "b"]])
        #expect(try full.parameterCount() == 4 * (16 + 16 + 32))
        let follower = try CompressedMatrix(full.matrices[1])
        #expect(follower.patches[0].tensors == ["output": "b.output", "input": "a.input"])

        let plain = String(decoding: try StrictJSON.encode(plan([])), as: UTF8.self)
        #expect(!plain.contains("fit") && !plain.contains("shares"))
    }

    @Test("keys that no fit has are refused by name")
    func strictness() throws {
        let text = String(
            decoding: try StrictJSON.encode(plan([], fit: FitSettings())), as: UTF8.self)
        let other = text.replacing(#""two_sided""#, with: #""one_sided" : true, "two_sided""#)
        let error = try #require(throws: CheckpointError.self) {
            try CompressionPlan(parsing: Array(other.utf8), of: "plan")
        }
        #expect("\(error)".contains("fit.one_sided"))
        let metric = text.replacing(#""full""#, with: #""fll""#)
        #expect(throws: CheckpointError.self) {
            try CompressionPlan(parsing: Array(metric.utf8), of: "plan")
        }
    }

    @Test("fits that contradict themselves are refused")
    func fits() throws {
        func refusal(_ change: (inout FitSettings) -> Void) throws -> String {
            var fit = FitSettings()
            change(&fit)
            let error = try #require(throws: ManifestError.self) {
                try plan([], fit: fit).validate()
            }
            return "\(error)"
        }
        #expect(try refusal { $0.anchor = 1.5 }.contains("anchor"))
        #expect(try refusal { $0.metric = .diagonal }.contains("anchor"))
        #expect(try refusal { $0.shrinkage = .nan }.contains("shrinkage"))
        #expect(try refusal { $0.outputShrinkage = -1 }.contains("output_shrinkage"))
        try plan([], fit: .unanchored(.weights)).validate()
    }

    @Test("what cannot share an input factor is refused by name")
    func sharing() throws {
        let leader = matrix("a", .lowRank(rank: 4))
        for (other, problem) in [
            (matrix("b", .lowRank(rank: 4), sharing: "c"), "not in the plan"),
            (matrix("b", .lowRank(rank: 4), sharing: "b"), "itself"),
            (matrix("b", .lowRank(rank: 5), sharing: "a"), "equal low rank"),
            (matrix("b", .pivotedLowRank(rank: 4), sharing: "a"), "equal low rank"),
            (matrix("b", .lowRank(rank: 4), sharing: "a", columns: 33), "33"),
            (matrix("b", .lowRank(rank: 4), sharing: "a", as: .float32), "BF16"),
        ] {
            let error = try #require(throws: ManifestError.self) {
                try plan([leader, other]).validate()
            }
            #expect("\(error)".contains("'b'") && "\(error)".contains(problem), "\(error)")
        }
        let chain = plan([
            leader, matrix("b", .lowRank(rank: 4), sharing: "a"),
            matrix("c", .lowRank(rank: 4), sharing: "b"),
        ])
        #expect(throws: ManifestError.self) { try chain.validate() }
    }
}
