import TensorNetworks
import Tensors
import Testing

@testable import Generate
@testable import Models

@Suite("Contractions on a GPU", .enabled(if: DeviceTestMachine.hasDevice, "there is no GPU"))
struct DeviceContractionTests {
    private let device = Device.cuda(0)

    private func distance(_ found: Tensor, _ expected: Tensor) throws -> Double {
        try (found - expected).norm().scalar() / expected.norm().scalar()
    }

    /// Values that bfloat16 has, so that only what stands between tensors is rounded.
    private func exact(_ network: Factorization) throws -> Factorization {
        try network.mapTensors { try $0.converted(to: .float32) }
    }

    private func check(_ network: Factorization, _ sequences: Int) throws {
        let product = try DeviceProduct(
            [.network(network)], rows: network.rows, columns: network.columns,
            sequences: sequences)
        let x = try Tensor.normal([sequences, network.columns], seed: 9)
            .converted(to: .bfloat16).moved(to: device)
        let found = try product.product(x)
        let expected = try exact(network).apply(x.converted(to: .float32))
        let error = try distance(found, expected)
        #expect(error < 4 * ElementType.bfloat16.roundoff, "\(error)")
    }

    @Test(
        "networks of awkward shapes, of one sequence and of many",
        arguments: ContractionCase.allCases, [1, 3, 56])
    func awkward(_ which: ContractionCase, sequences: Int) throws {
        try check(which.network(as: .bfloat16, on: device), sequences)
    }

    static let large: [Format] = [
        .tensorTrain(TensorModes(output: [32, 32], input: [32, 32]), ranks: [300]),
        .tensorTrain(TensorModes(output: [8, 16, 8], input: [16, 8, 8]), ranks: [96, 64]),
        .tensorRing(TensorModes(output: [32, 32], input: [32, 32]), ranks: [16, 24]),
        .tucker(TensorModes(output: [32, 32], input: [32, 32]), ranks: [24, 20, 28, 24]),
        .blockTerm(
            TensorModes(output: [32, 32], input: [32, 32]), ranks: [10, 12, 10, 12], terms: 3),
        .pivoted(.tensorTrain(TensorModes(output: [32, 32], input: [32, 32]), ranks: [200])),
        .mixture([
            .lowRank(rank: 100),
            .tensorTrain(
                TensorModes(output: [32, 32], input: [32, 32]), ranks: [64]),
        ]),
        .mixture([
            .pivotedLowRank(rank: 90),
            .pivoted(
                .tucker(TensorModes(output: [32, 32], input: [32, 32]), ranks: [9, 9, 9, 9])),
        ]),
    ]

    @Test("every format, split over the terms", arguments: large, [1, 8])
    func formats(_ format: Format, sequences: Int) throws {
        let network = try Factorization.random(
            format, rows: 1_000, columns: 1_024, seed: 3, as: .bfloat16, on: device)
        try check(network, sequences)
    }

    @Test("a sequence's bits do not depend on its neighbours", arguments: large)
    func invariance(_ format: Format) throws {
        let network = try Factorization.random(
            format, rows: 1_000, columns: 1_024, seed: 3, as: .bfloat16, on: device)
        let x = try Tensor.normal([40, 1_024], seed: 2).moved(to: device)
        func product(_ range: Range<Int>, _ stateBytes: Int? = nil) throws -> Tensor {
            try DeviceProduct(
                [.network(network)], rows: 1_000, columns: 1_024, sequences: range.count,
                stateBytes: stateBytes
            ).product(x.narrowed(0, range))
        }
        let together = try product(0..<40)
        // A few at a time, for want of memory.
        let inTurns = try product(0..<40, 600_000).elements(as: Float.self)
        #expect(try inTurns == together.elements(as: Float.self))
        for index in [0, 7, 39] {
            let alone = try product(index..<index + 1).elements(as: Float.self)
            let same = try together.narrowed(0, index..<index + 1).elements(as: Float.self)
            #expect(alone == same)
        }
    }

    @Test("models with networks in every place decode as libtorch does in float32")
    func model() throws {
        func model(_ type: ElementType) throws -> CausalLanguageModel {
            var model = try DeviceTestModel.wide.model(rank: 40, as: type, on: device)
            for index in model.blocks.indices {
                for (place, projection) in Projection.allCases.enumerated() {
                    // Dense matrices, pairs and networks in all of a block's groups.
                    guard (place + index) % 3 != 0 else { continue }
                    let linear = model.blocks[index][projection]
                    let shape = try linear.weight.dense().shape
                    let modes = TensorModes(
                        output: [shape[0] / 8, 8], input: [16, (shape[1] + 15) / 16])
                    let formats: [Format] = [
                        .tensorTrain(modes, ranks: [20]), .tensorRing(modes, ranks: [5, 4]),
                        .tucker(modes, ranks: [30, 7, 12, 20]),
                        .mixture([.lowRank(rank: 24), .tensorTrain(modes, ranks: [9])]),
                    ]
                    let network = try Factorization.random(
                        formats[(index + place) % 4], rows: shape[0], columns: shape[1],
                        seed: UInt64(10 * index + place), as: .bfloat16, on: .cpu
                    ).mapTensors { try $0.to(type, device) }
                    model.blocks[index][projection] = Linear(.network(network), bias: linear.bias)
                }
            }
            return model
        }
        let executor = try Executor(model(.bfloat16), contracting: true)
        #expect(executor.note?.hasPrefix("contracted") == true)
        let contexts = [0, 63, 130, 700]
        let step = Scheduler.Step(
            items: contexts.enumerated().map { index, context in
                .init(
                    request: RequestID(index), tokens: [Int32(index * 37 + 5)], start: context,
                    blocks: Array(index * 12..<index * 12 + context / 64 + 1), predicts: true)
            }, preempted: [])
        let found = try executor.runner(blocks: 48, noise: 3).logits(of: step)
        let expected = try ModelRunner(model(.float32), blocks: 48, noise: 3).logits(of: step)
        let error = try distance(found, expected)
        #expect(error < 16 * ElementType.bfloat16.roundoff, "\(error)")
    }
}
