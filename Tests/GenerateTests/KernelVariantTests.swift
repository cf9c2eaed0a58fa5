import Artifacts
import Foundation
import Kernels
import Tensors
import Testing

@testable import Generate

@Suite("Variants of kernels")
struct KernelVariantTests {
    /// Shared memory of a block, by architecture: A100, RTX 4090, H100 and H200, B200.
    static let machines = [
        ("sm_80", 166_912), ("sm_89", 101_376), ("sm_90a", 232_448), ("sm_100a", 232_448),
    ]

    private static let hasCompiler: Bool = {
        do {
            _ = try KernelCompiler(cacheFolder: NSTemporaryDirectory())
            return true
        } catch {
            return TestData.environment["MINIMA_REQUIRE_REFERENCE"] == "1"
        }
    }()

    private func variants(_ available: Int) -> [KernelVariant] {
        [(1, ElementType.bfloat16), (7, .bfloat16), (56, .bfloat16), (7, .int8), (7, .float8e4m3)]
            .map { columns, weights in
                .linear(
                    columns: columns, weights: weights, hasCopyEngine: available > 200_000,
                    available: available)
            }
            + [64, 128].flatMap { headDim in
                [true, false].map { isQuantized in
                    .attention(
                        headDim: headDim, group: isQuantized ? 16 : 8, isQuantized: isQuantized,
                        isCrowded: isQuantized, available: available)
                }
            }
            + [true, false].map { isQuantized in
                .attention(
                    headDim: 128, group: 8, tokens: 4, isQuantized: isQuantized, isCrowded: true,
                    available: available)
            }
    }

    @Test("fit into the memory that there is, and fill it", arguments: machines)
    func memory(_ architecture: String, _ available: Int) {
        for columns in KernelVariant.columns {
            let variant = KernelVariant.linear(
                columns: columns, hasCopyEngine: available > 200_000, available: available)
            #expect(variant.sharedMemory + 3_072 <= available)
            #expect(variant.defines["COLUMNS"] == "\(columns)")
        }
        for variant in variants(available) { #expect(variant.sharedMemory <= available) }
    }

    @Test("rings shrink to one tile and one chunk where no more fits beside a copy engine")
    func smallest() {
        let variant = KernelVariant.linear(columns: 56, hasCopyEngine: true, available: 101_376)
        #expect(variant.defines["STAGES"] == "1" && variant.defines["INPUTS"] == "1")
        #expect(variant.sharedMemory + 3_072 <= 101_376)
    }

    @Test("small GPUs take fewer columns of one-byte weights at once")
    func mostColumns() {
        for (_, available) in Self.machines {
            let most = KernelVariant.mostColumns(weights: .bfloat16, available: available)
            #expect(most == 56)
        }
        #expect(KernelVariant.mostColumns(weights: .int8, available: 101_376) == 16)
        #expect(KernelVariant.mostColumns(weights: .int8, available: 232_448) == 56)
    }

    @Test("as many columns as the step has, or the next that there are")
    func columns() {
        let variant = KernelVariant.linear(
            columns: 9, hasCopyEngine: true, available: 232_448)
        #expect(variant.defines["COLUMNS"] == "16")
    }

    @Test("rows of attention fill tiles, and are at least a key's query heads")
    func attentionRows() {
        for group in 1...16 {
            for tokens in 1...8 {
                for (isQuantized, isCrowded) in [(true, true), (false, true), (true, false)] {
                    let rows = KernelVariant.attentionRows(
                        group: group, tokens: tokens, isQuantized: isQuantized,
                        isCrowded: isCrowded)
                    #expect(rows >= group)
                    // Counters of a step are as many as columns, of each head.
                    #expect((group * tokens + rows - 1) / rows <= tokens)
                }
            }
        }
        #expect(KernelVariant.tokensCompiled(for: 5) == 8)
    }

    @Test(
        "a prompt's compile", .enabled(if: hasCompiler, "NVRTC is not there (make reference)"),
        arguments: DeviceTestModel.allCases)
    func promptCompilation(_ model: DeviceTestModel) throws {
        let folder = NSTemporaryDirectory() + "minima-variants-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = try ModelConfiguration(parsing: Array(model.configuration.utf8))
        let compiled = try KernelCompiler(cacheFolder: folder).compile(
            .prompt, for: "sm_90a", defines: PromptKernels.defines(configuration))
        #expect(!compiled.image.isEmpty)
    }

    @Test(
        "compile", .enabled(if: hasCompiler, "NVRTC is not there (make reference)"),
        arguments: machines)
    func compilation(_ architecture: String, _ available: Int) throws {
        let folder = NSTemporaryDirectory() + "minima-variants-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let compiler = try KernelCompiler(cacheFolder: folder)
        var all = variants(available)
        if architecture == "sm_90a" {
            all += GemmPlanTests.problems.prefix(36).map { problem in
                let plan = GemmPlan(problem, multiprocessors: 132)
                return KernelVariant.gemm(plan, pairing: problem.pairing)
            }
        }
        for variant in all {
            let compiled = try compiler.compile(
                variant.source, for: architecture, defines: variant.defines)
            #expect(!compiled.image.isEmpty)
        }
    }
}
