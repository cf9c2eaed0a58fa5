import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Compress

extension CompressStageTests {
    private func refining(
        _ kind: Format.Kind, steps: Int?, rate: Double = 3e-4
    ) -> CompressionSettings {
        var settings = CompressionSettings(format: kind, keep: 0.5)
        settings.fit.isTwoSided = false
        settings.fit.anchor = 1
        if let steps {
            var refinement = FitSettings.Refinement()
            refinement.steps = steps
            refinement.learningRate = rate
            refinement.windowsPerStep = 2
            settings.fit.refinement = refinement
        }
        return settings
    }

    /// Σ‖x − y‖² of the dense model's and the compressed model's last hidden states.
    private func distance(_ folder: String, on windows: [[Int]]) throws -> Double {
        let configuration = try ModelConfiguration(folder: Self.tiny)
        let dense = try CausalLanguageModel(try Checkpoint(Self.tiny), configuration)
        let other = try CausalLanguageModel(try Checkpoint(folder), configuration)
        let ids = try Tensor(windows.flatMap { $0 }, shape: [windows.count, windows[0].count])
        var none: KVCache?
        let (x, y) = (
            try dense.hiddenStates(ids, cache: &none), try other.hiddenStates(ids, cache: &none)
        )
        return try (x - y).squared().sum().scalar()
    }

    @Test("refined blocks return what the dense model's do more nearly")
    func refinement() throws {
        let kind = Format.Kind.pivotedLowRank
        try withFolder { folder in
            _ = try stage("\(folder)/fitted", refining(kind, steps: nil)).run { _, _, _ in }
            var steps: [Int] = []
            _ = try stage("\(folder)/refined", refining(kind, steps: 30)).run { done, total, _ in
                steps.append(done)
                #expect(done <= total)
            }
            #expect(steps == Array(1...steps.count))
            let (fitted, refined) = (
                try distance("\(folder)/fitted", on: windows(3, 64)),
                try distance("\(folder)/refined", on: windows(3, 64))
            )
            #expect(refined < fitted, "\(refined) after \(fitted)")
            // Norms are stored anew, in the checkpoint's type; what lies outside of blocks is not.
            let (before, after) = (
                try Checkpoint("\(folder)/fitted"), try Checkpoint("\(folder)/refined")
            )
            #expect(before.tensorNames.sorted() == after.tensorNames.sorted())
            #expect(before.byteCount == after.byteCount)
            func differs(_ name: String) throws -> Bool {
                let (a, b) = (try before.tensor(named: name), try after.tensor(named: name))
                #expect(a.elementType == b.elementType)
                return try (a.converted(to: .float32) - b.converted(to: .float32)).squared().sum()
                    .scalar() > 0
            }
            let changed = try (0..<6).contains { layer in
                try differs("model.layers.\(layer).post_attention_layernorm.weight")
            }
            #expect(changed)
            #expect(try !differs("model.norm.weight"))
            #expect(
                after.manifest?.plan.fit?.refinement == refining(kind, steps: 30).fit.refinement)
        }
    }

    @Test("a refinement that is stopped continues to the same bytes")
    func resumedRefinement() throws {
        try withFolder { folder in
            let settings = refining(.pivotedLowRank, steps: 4)
            _ = try stage("\(folder)/whole", settings).run { _, _, _ in }
            var stops = 0
            while true {
                var steps = 0
                do {
                    // A block has 5 · 3 + 3 windows, 7 matrices and 4 steps.
                    _ = try stage("\(folder)/stopped", settings).run { _, _, note in
                        steps += note.hasSuffix("was done") ? 0 : 1
                        if steps > 55 { throw Stop() }
                    }
                    break
                } catch is Stop {
                    stops += 1
                }
            }
            #expect(stops >= 2)
            let files = FileManager.default
            #expect(
                files.contents(atPath: "\(folder)/stopped/model.safetensors")
                    == files.contents(atPath: "\(folder)/whole/model.safetensors"))
            #expect(!files.fileExists(atPath: "\(folder)/stopped.run"))
        }
    }

    @Test("refinements that cannot be are refused")
    func refusedRefinements() throws {
        var fit = FitSettings()
        fit.refinement = FitSettings.Refinement()
        try fit.validate()
        fit.anchor = nil
        #expect(throws: ManifestError.self) { try fit.validate() }
        fit.anchor = 0.5
        fit.refinement?.steps = 0
        #expect(throws: ManifestError.self) { try fit.validate() }
        fit.refinement?.steps = 5
        fit.refinement?.learningRate = .nan
        #expect(throws: ManifestError.self) { try fit.validate() }

        // A factor that two matrices share would be trained twice.
        let configuration = try ModelConfiguration(folder: Self.tiny)
        let source = try Checkpoint(Self.tiny).fingerprint()
        var leader: String?
        let matrices = configuration.linearModules.map { module -> MatrixPlan in
            guard module.name.contains("layers.0.mlp"), !module.name.hasSuffix("down_proj") else {
                return MatrixPlan(module, .dense, as: .bfloat16)
            }
            defer { leader = leader ?? module.name }
            return MatrixPlan(
                module, .lowRank(rank: 8), as: .bfloat16, sharingInputOf: leader)
        }
        var settings = CompressionSettings(
            .plan(CompressionPlan(source: source, settings: [:], matrices: matrices)))
        settings.fit.refinement = FitSettings.Refinement()
        try withFolder { folder in
            let error = #expect(throws: CompressError.self) {
                try stage("\(folder)/out", settings).run { _, _, _ in }
            }
            #expect(
                error.map { "\($0)".contains("refine") } ?? false, "\(String(describing: error))")
        }
    }
}
