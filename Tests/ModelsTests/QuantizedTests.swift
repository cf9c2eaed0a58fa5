import Artifacts
import TensorNetworks
import Tensors
import Testing

@testable import Models

@Suite("Quantised linear layers")
struct QuantizedTests {
    /// A checkpoint with every linear layer quantised, in turn in every format, and the model that those values are.
    private func models(_ type: ElementType) throws -> (
        quantized: RandomCheckpoint, wide: RandomCheckpoint
    ) {
        var quantized = try RandomCheckpoint(seed: 100)
        var wide = try RandomCheckpoint(seed: 100)
        let source = try Checkpoint(quantized.write()).fingerprint()
        var plans: [MatrixPlan] = []
        for (index, module) in quantized.configuration.linearModules.enumerated() {
            let formats = CompressedTests.formats(module.rows, module.columns) + [.dense]
            let format = formats[index % formats.count]
            let plan = MatrixPlan(module, format, as: type)
            let parts = try CompressedTests.parts(
                format, module.rows, module.columns, seed: 1_000 * UInt64(index), .float32)
            let weight: Tensor =
                format == .dense
                ? try #require(parts["weight"])
                : try CompressedTests.network(format, module.rows, module.columns, parts)
                    .reconstructed()
            let objective = try FitObjective(weight: weight)
            let network =
                format == .dense
                ? try QuantizedNetwork(quantizing: weight, as: type, for: objective, .nearest)
                : try CompressedTests.network(format, module.rows, module.columns, parts)
                    .quantized(as: type, for: objective, .nearest)
            let names = try #require(CompressedMatrix(plan).patches.first).tensors
            quantized.tensors[module.weight.name] = nil
            for (part, tensor) in network.parts {
                quantized.tensors[try #require(names[part])] = tensor
            }
            wide.tensors[module.weight.name] = try network.reconstructed(as: .float32).contiguous()
            plans.append(plan)
        }
        let plan = CompressionPlan(source: source, settings: [:], matrices: plans)
        _ = try quantized.write(
            CompressionManifest(
                source: source, plan: plan, matrices: plans.map { try CompressedMatrix($0) }))
        _ = try wide.write()
        return (quantized, wide)
    }

    @Test(
        "a quantised checkpoint keeps its bytes in memory and computes what its values compute",
        arguments: [ElementType.int8, .float8e4m3])
    func checkpoint(_ type: ElementType) throws {
        let (quantized, wide) = try models(type)
        let configuration = quantized.configuration
        let checkpoint = try Checkpoint(quantized.path)
        let model = try CausalLanguageModel(checkpoint, configuration)
        let expected = try CausalLanguageModel(Checkpoint(wide.path), configuration)
        for projection in Projection.allCases {
            guard case .quantized(let network) = model.blocks[1][projection].weight else {
                Issue.record("\(projection) is not quantised")
                continue
            }
            #expect(network.elementType == type)
        }
        let modules = configuration.linearModules
        let stored = try checkpoint.manifest?.tensorNames.reduce(0) {
            $0 + (try #require(checkpoint.info($1))).byteCount
        }
        let numbers = try #require(checkpoint.manifest).matrices.flatMap(\.patches)
            .flatMap(\.tensors.values).filter { $0.hasSuffix("pivots") }
            .reduce(0) { $0 + (checkpoint.info($1)?.byteCount ?? 0) }
        #expect(model.linearByteCount == (stored ?? 0) - numbers)
        #expect(model.linearParameterCount < modules.reduce(0) { $0 + $1.rows * $1.columns })
        #expect(
            try checkpoint.parameterCount()
                == model.linearParameterCount
                + configuration.expectedTensors.reduce(0) { sum, tensor in
                    modules.contains { $0.weight.name == tensor.name }
                        ? sum : sum + tensor.shape.reduce(1, *)
                })
        let ids = try Tensor((0..<40).map { ($0 * 7 + 3) % 61 }, shape: [2, 20])
        let deviation = try withoutGradients {
            try largestDeviation(model.logits(ids), expected.logits(ids))
        }
        #expect(deviation <= configuration.reorderingBound)
    }

    @Test("scales that are missing or damaged end with an error that names them")
    func damaged() throws {
        var (model, _) = try models(.int8)
        let manifest = try #require(Checkpoint(model.path).manifest)
        let name = try #require(
            manifest.tensorNames.filter { $0.hasSuffix(".scales") }.sorted().first)
        let scales = try #require(model.tensors[name])
        func fault() throws -> String {
            _ = try model.write(manifest)
            do {
                let checkpoint = try Checkpoint(model.path)
                _ = try CausalLanguageModel(checkpoint, model.configuration)
                return ""
            } catch {
                return "\(error)"
            }
        }
        model.tensors[name] = nil
        #expect(try fault().contains("tensor '\(name)' is missing"))
        model.tensors[name] = try scales.converted(to: .float64)
        #expect(try fault().contains("has element type F64, not F32"))
        model.tensors[name] = try scales * .nan
        #expect(try fault().contains("is not finite"))
        model.tensors[name] = try scales * 0
        #expect(try fault().contains("is not a number above zero"))
        model.tensors[name] = scales
        #expect(try fault().isEmpty)
    }

    @Test("random models have quantised weights of the variance of others")
    func random() throws {
        let configuration = try RandomCheckpoint(seed: 1).configuration
        for type in [ElementType.int8, .float8e4m3] {
            let plan = CompressionPlan(
                source: Fingerprint(hashing: [[1]]), settings: [:],
                matrices: configuration.linearModules.enumerated().map {
                    MatrixPlan($1, $0 % 2 == 0 ? .dense : .lowRank(rank: 8), as: type)
                })
            let source = WeightSource.random(try RandomModel(configuration, compressedBy: plan))
            let model = try CausalLanguageModel(source, configuration, as: .bfloat16)
            let bytes = try source.byteCounts(configuration, as: .bfloat16).reduce(0, +)
            let others = configuration.expectedTensors.reduce(0) { sum, tensor in
                configuration.linearModules.contains { $0.weight.name == tensor.name }
                    ? sum : sum + 2 * tensor.shape.reduce(1, *)
            }
            #expect(bytes == model.linearByteCount + others)
            guard case .quantized(let dense) = model.blocks[0][.query].weight else {
                Issue.record("query is not quantised")
                return
            }
            let variance = try dense.reconstructed(as: .float32).squared().mean().scalar() * 24
            #expect(variance > 0.8 && variance < 1.2, "\(type): \(variance)")
            let ids = try Tensor([1, 2, 3], shape: [1, 3])
            #expect(try withoutGradients { try model.logits(ids).finite().all().scalar() } == 1)
        }
    }
}
