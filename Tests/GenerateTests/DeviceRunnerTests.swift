import Artifacts
import Kernels
import TensorNetworks
import Tensors
import Testing
import Text

@testable import Generate
@testable import Models

/// Models as the GPU's kernels can run them: heads of 64 and 128, groups, norms, biases, windows, ranks of any number.
enum DeviceTestModel: String, CaseIterable {
    case qwen3, qwen2, mistral, wide

    var configuration: String {
        switch self {
        case .qwen3:
            """
            {"model_type": "qwen3", "vocab_size": 1003, "hidden_size": 256, "intermediate_size": 712,
             "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
             "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "tie_word_embeddings": true}
            """
        case .qwen2:
            """
            {"model_type": "qwen2", "vocab_size": 517, "hidden_size": 192, "intermediate_size": 200,
             "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 3,
             "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "tie_word_embeddings": false}
            """
        case .mistral:
            """
            {"model_type": "mistral", "vocab_size": 300, "hidden_size": 256, "intermediate_size": 336,
             "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1,
             "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "sliding_window": 70,
             "tie_word_embeddings": false}
            """
        case .wide:
            """
            {"model_type": "qwen3", "vocab_size": 2048, "hidden_size": 1024, "intermediate_size": 1544,
             "num_hidden_layers": 2, "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 128,
             "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}
            """
        }
    }

    /// - Parameter rank: of pairs in place of every second dense matrix of a block, gate and up together; `nil` without.
    func model(
        rank: Int? = nil, as type: ElementType, on device: Device
    ) throws -> CausalLanguageModel {
        let configuration = try ModelConfiguration(parsing: Array(configuration.utf8))
        var tensors: [String: Tensor] = [:]
        for (index, tensor) in configuration.expectedTensors.enumerated() {
            let noise = try Tensor.normal(tensor.shape, seed: UInt64(index + 1))
            let scale = 1 / Double(tensor.shape.last ?? 1).squareRoot()
            tensors[tensor.name] =
                try (tensor.shape.count > 1 ? noise * scale : noise * 0.1 + 1)
                .converted(to: .bfloat16)
        }
        let dense = try CausalLanguageModel(
            .tensors(tensors, nil), configuration, as: type, on: device)
        guard let rank else { return dense }
        var model = dense
        for index in model.blocks.indices {
            for (place, projection) in [Projection.query, .key, .output, .gate, .up, .down]
                .enumerated()
            {
                guard index % 2 == 0 || place % 2 == 0 || [.gate, .up].contains(projection) else {
                    continue
                }
                let linear = model.blocks[index][projection]
                let matrix = try linear.weight.dense()
                let (rows, columns) = (matrix.shape[0], matrix.shape[1])
                func factor(_ shape: [Int], _ seed: Int) throws -> Tensor {
                    try
                        (Tensor.normal(shape, seed: UInt64(1_000 * index + 10 * place + seed))
                        * (1 / Double(shape[1]).squareRoot()))
                        .converted(to: .bfloat16).to(type, device)
                }
                let ranks = rank + 3 * place
                model.blocks[index][projection] = Linear(
                    .network(
                        .lowRank(
                            try LowRank(
                                output: factor([rows, ranks], 1),
                                input: factor([ranks, columns], 2)))),
                    bias: linear.bias)
            }
        }
        return model
    }

    /// Every linear layer in one byte a value: dense, or pairs and pivoted pairs in turns.
    func quantized(
        _ type: ElementType, rank: Int?, on device: Device
    ) throws -> CausalLanguageModel {
        var model = try model(as: .bfloat16, on: device)
        for index in model.blocks.indices {
            for (place, projection) in Projection.allCases.enumerated() {
                let linear = model.blocks[index][projection]
                let matrix = try linear.weight.dense()
                let network: QuantizedNetwork
                if let rank {
                    let (rows, columns) = (matrix.shape[0], matrix.shape[1])
                    let kept = (0..<rank).map { Int32(($0 * 7 + place) % rows) }
                    let format: Format =
                        place % 2 == 0 ? .pivotedLowRank(rank: rank) : .lowRank(rank: rank)
                    network = try QuantizedNetwork(
                        format: format, rows: rows, columns: columns, as: type
                    ) { name in
                        if name == "pivots" { return try Tensor(kept, on: device) }
                        let parts = try format.parts(rows: rows, columns: columns, storing: type)
                        guard let part = parts.first(where: { $0.name == name }) else {
                            preconditionFailure("a format lists its parts")
                        }
                        let noise = try Tensor.normal(
                            part.shape, seed: UInt64(100 * index + 10 * place + name.count))
                        if part.elementType(storing: type) == .float32 {
                            return try ((noise * 0.1 + 1) * (type == .int8 ? 4e-4 : 0.02))
                                .magnitude().moved(to: device)
                        }
                        return try (noise * (type == .int8 ? 40 : 1)).clamped(-127...127)
                            .converted(to: type).moved(to: device)
                    }
                } else {
                    network = try QuantizedNetwork(QuantizedMatrix(quantizing: matrix, as: type))
                }
                model.blocks[index][projection] = Linear(.quantized(network), bias: linear.bias)
            }
        }
        return model
    }
}

@Suite("What the GPU's kernels cannot run is said")
struct DeviceModelSupportTests {
    @Test("models that they run", arguments: DeviceTestModel.allCases)
    func supported(_ model: DeviceTestModel) throws {
        #expect(try DeviceModel.unsupported(model.model(as: .bfloat16, on: .cpu)) == nil)
        #expect(try DeviceModel.unsupported(model.model(rank: 21, as: .bfloat16, on: .cpu)) == nil)
    }

    @Test("float32 weights")
    func float32() throws {
        let model = try DeviceTestModel.qwen3.model(as: .float32, on: .cpu)
        #expect(DeviceModel.unsupported(model) == "weights of F32, not bfloat16")
    }
}

@Suite("Decode steps on a GPU", .enabled(if: DeviceTestMachine.hasDevice, "there is no GPU"))
struct DeviceRunnerTests {
    /// One token behind `contexts[i]` others, the blocks in disorder.
    private func step(_ contexts: [Int], vocabulary: Int, only: Int? = nil) -> Scheduler.Step {
        var next = 0
        var items: [Scheduler.Item] = []
        for (index, context) in contexts.enumerated() {
            let count = context / 64 + 1
            let blocks = (next..<next + count).map { $0 ^ 1 }
            next += count
            guard only == nil || only == index else { continue }
            items.append(
                .init(
                    request: RequestID(index), tokens: [Int32((index * 37 + 5) % vocabulary)],
                    start: context, blocks: blocks, predicts: true))
        }
        return .init(items: items, preempted: [])
    }

    /// ‖found − expected‖ / ‖expected‖.
    private func distance(_ found: Tensor, _ expected: Tensor) throws -> Double {
        try (found - expected).norm().scalar() / expected.norm().scalar()
    }

    private let contexts = [0, 1, 63, 64, 130, 511, 512, 700, 1_023, 1_500]

    private func blocks(_ contexts: [Int]) -> Int { contexts.reduce(2) { $0 + $1 / 64 + 1 } }

    @Test(
        "logits are those of libtorch in float32, within bfloat16's rounding",
        arguments: DeviceTestModel.allCases, [nil, 21, 40])
    func logits(_ which: DeviceTestModel, rank: Int?) throws {
        let device = Device.cuda(0)
        let model = try which.model(rank: rank, as: .bfloat16, on: device)
        let exact = try which.model(rank: rank, as: .float32, on: device)
        let count = blocks(contexts)
        let runner = try Executor(model).runner(blocks: count, noise: 3)
        #expect(runner is DeviceRunner)
        let reference = try ModelRunner(exact, blocks: count, noise: 3)
        let vocabulary = model.configuration.vocabularySize
        for contexts in [Array(contexts.prefix(1)), contexts, contexts + contexts] {
            guard blocks(contexts) <= count else { continue }
            let step = step(contexts, vocabulary: vocabulary)
            let found = try runner.logits(of: step)
            let expected = try reference.logits(of: step)
            let error = try distance(found, expected)
            // Some dozen roundings of half a unit in 2^8 each on the way, added as errors are.
            #expect(error < 12 * ElementType.bfloat16.roundoff, "\(error)")
        }
    }

    @Test(
        "weights of one byte, dense, pairs and pivoted pairs, are those of libtorch widened",
        arguments: [ElementType.int8, .float8e4m3], [nil, 21])
    func quantized(type: ElementType, rank: Int?) throws {
        let device = Device.cuda(0)
        let model = try DeviceTestModel.wide.quantized(type, rank: rank, on: device)
        var exact = try DeviceTestModel.wide.model(as: .float32, on: device)
        for index in exact.blocks.indices {
            for projection in Projection.allCases {
                let linear = model.blocks[index][projection]
                exact.blocks[index][projection] = Linear(
                    .dense(try linear.weight.dense()), bias: linear.bias)
            }
        }
        let executor = try Executor(model)
        #expect(executor.note == nil)
        let step = step(contexts, vocabulary: model.configuration.vocabularySize)
        let found = try executor.runner(blocks: blocks(contexts), noise: 3).logits(of: step)
        let expected = try ModelRunner(exact, blocks: blocks(contexts), noise: 3).logits(of: step)
        let error = try distance(found, expected)
        #expect(error < 12 * ElementType.bfloat16.roundoff, "\(error)")
    }

    @Test("keys and values in e4m3 change logits by their roundings")
    func quantizedCache() throws {
        let model = try DeviceTestModel.wide.model(as: .bfloat16, on: .cuda(0))
        let step = step(contexts, vocabulary: model.configuration.vocabularySize)
        let runner = try Executor(model, cache: .float8e4m3)
            .runner(blocks: blocks(contexts), noise: 3)
        let found = try runner.logits(of: step)
        let expected = try Executor(model).runner(blocks: blocks(contexts), noise: 3)
            .logits(of: step)
        let error = try distance(found, expected)
        #expect(error > 0)
        #expect(error < 2 * ElementType.float8e4m3.roundoff, "\(error)")
    }

    @Test(
        "a sequence's bits do not depend on its neighbours", arguments: [nil, 40],
        [40, 64, 130, 256])
    func invariance(rank: Int?, sequences: Int) throws {
        let model = try DeviceTestModel.wide.model(rank: rank, as: .bfloat16, on: .cuda(0))
        let many = (0..<sequences).map { ($0 * 97) % 900 }
        let runner = try Executor(model).runner(blocks: blocks(many), noise: 3)
        let vocabulary = model.configuration.vocabularySize
        let together = try runner.logits(of: step(many, vocabulary: vocabulary)).copied()
        for index in stride(from: 0, to: many.count, by: sequences / 6) {
            let alone = try runner.logits(of: step(many, vocabulary: vocabulary, only: index))
            #expect(
                try alone.elements(as: Float.self)
                    == together.narrowed(0, index..<index + 1).elements(as: Float.self))
        }
    }

    @Test("formats without a kernel are multiplied out, and named")
    func multipliedOut() throws {
        let device = Device.cuda(0)
        func model(_ type: ElementType) throws -> CausalLanguageModel {
            var model = try DeviceTestModel.qwen3.model(as: type, on: device)
            // A pivoted pair that takes more than the dense matrix once its pivots' rows are written out.
            let pivoted = try Factorization.random(
                .pivotedLowRank(rank: 200), rows: 256, columns: 256, seed: 1, as: .bfloat16,
                on: .cpu
            ).mapTensors { try $0.to(type, device) }
            model.blocks[1][.query] = Linear(.network(pivoted))
            // A pair beside a dense matrix of the same products.
            let pairs = try DeviceTestModel.qwen3.model(rank: 40, as: type, on: device)
            model.blocks[0][.up] = pairs.blocks[0][.up]
            return model
        }
        let executor = try Executor(model(.bfloat16))
        #expect(
            executor.note?.hasSuffix("kernel: pivoted-low-rank") == true)
        let step = step(contexts, vocabulary: 1_003)
        let found = try executor.runner(blocks: blocks(contexts), noise: 3).logits(of: step)
        let expected = try ModelRunner(model(.float32), blocks: blocks(contexts), noise: 3)
            .logits(of: step)
        let error = try distance(found, expected)
        #expect(error < 12 * ElementType.bfloat16.roundoff, "\(error)")
    }

    /// Where two tokens are as likely as bfloat16 can tell, either may be taken; what follows differs then.
    @Test("greedy text of the shipped model is the CPU's, up to ties")
    func text() throws {
        let tokenizer = try Tokenizer(path: TestData.tiny)
        func generator(_ type: ElementType, _ device: Device) throws -> Generator {
            Generator(
                model: try CausalLanguageModel(
                    Checkpoint(TestData.tiny), ModelConfiguration(folder: TestData.tiny), as: type,
                    on: device), tokenizer: tokenizer)
        }
        let (gpu, cpu) = (try generator(.bfloat16, .cuda(0)), try generator(.float32, .cpu))
        var options = Generator.Options()
        options.maxTokens = 60
        var same = 0
        for prompt in ["Once upon a time", "The", "In the year 1850 a man named"] {
            let ids = tokenizer.encode(prompt).map(Int.init)
            let found = try gpu.generate(ids, options)
            let expected = try cpu.generate(ids, options)
            if found.text == expected.text { same += 1 }
            let places = 0..<min(found.tokens.count, expected.tokens.count)
            guard let place = places.first(where: { found.tokens[$0] != expected.tokens[$0] })
            else { continue }
            let tokens = (ids + expected.tokens.prefix(place)).map(Int32.init)
            let logits = try ModelRunner(cpu.model, blocks: 4).logits(
                of: .init(
                    items: [
                        .init(
                            request: RequestID(0), tokens: tokens, start: 0,
                            blocks: Array(0..<4), predicts: true)
                    ], preempted: [])
            ).elements(as: Float.self)
            let gap = logits[expected.tokens[place]] - logits[found.tokens[place]]
            let largest = logits.map(abs).max() ?? 0
            #expect(gap < 4 * Float(ElementType.bfloat16.roundoff) * largest, "\(prompt): \(gap)")
        }
        #expect(same >= 1)
    }

    @Test(
        "prompts that are scored beside others: log-probabilities and logits are those of libtorch in float32",
        arguments: DeviceTestModel.allCases)
    func scoredPrompts(_ which: DeviceTestModel) throws {
        let device = Device.cuda(0)
        let vocabulary = try which.model(as: .bfloat16, on: .cpu).configuration.vocabularySize
        let runner = try Executor(which.model(as: .bfloat16, on: device)).runner(
            blocks: 120, noise: 3)
        let reference = try ModelRunner(
            which.model(as: .float32, on: device), blocks: 120, noise: 3)
        let tokens = (0..<300).map { Int32(($0 * 37 + 5) % vocabulary) }
        /// Of each request the tokens from one position to another, whether it predicts, and from which row on it is scored.
        func step(_ parts: [(range: Range<Int>, predicts: Bool, first: Int?)]) -> Scheduler.Step {
            .init(
                items: parts.enumerated().filter { !$0.element.range.isEmpty }.map { index, part in
                    let start = part.range.lowerBound
                    let scoring = part.first.map { first in
                        Scheduler.Scoring(
                            first: first,
                            targets: Array(
                                tokens[start + first + 1..<part.range.upperBound + 1]), top: 3)
                    }
                    return Scheduler.Item(
                        request: RequestID(index), tokens: Array(tokens[part.range]), start: start,
                        blocks: (20 * index..<20 * index + 6).map { $0 ^ 1 },
                        predicts: part.predicts, scoring: scoring)
                }, preempted: [])
        }
        let steps = [
            step([(0..<70, false, 0), (0..<33, true, nil), (0..<150, false, 0)]),
            step([(70..<71, false, 0), (33..<34, true, nil), (150..<290, true, 17)]),
            step([(71..<130, true, 0), (34..<35, true, nil)]),
        ]
        for step in steps {
            let (found, expected) = (
                try runner.logits(of: step), try reference.logits(of: step)
            )
            #expect(found.shape == expected.shape)
            if found.shape[0] > 0 {
                #expect(try distance(found, expected) < 12 * ElementType.bfloat16.roundoff)
            }
            for item in step.items {
                let mine = runner.scores(of: item.request)
                let its = reference.scores(of: item.request)
                try #require(mine.count == its.count && mine.count == item.scoredRows.count)
                #expect(mine.map(\.chosen.token) == its.map(\.chosen.token))
                func norm(_ values: [Double]) -> Double {
                    values.reduce(0) { $0 + $1 * $1 }.squareRoot()
                }
                let gaps = zip(mine, its).map { $0.chosen.logprob - $1.chosen.logprob }
                let error = norm(gaps) / max(1, norm(its.map(\.chosen.logprob)))
                #expect(error < 12 * ElementType.bfloat16.roundoff, "\(error)")
                #expect(mine.allSatisfy { $0.top.count == 3 && $0.isFinite })
            }
        }
    }

    /// Prompts of several lengths in one step, then more of each behind them, then steps of which only some predict.
    @Test(
        "prompts in pieces: logits are those of libtorch in float32, within bfloat16's rounding",
        arguments: DeviceTestModel.allCases, [nil, 40])
    func prompts(_ which: DeviceTestModel, rank: Int?) throws {
        let device = Device.cuda(0)
        let model = try which.model(rank: rank, as: .bfloat16, on: device)
        let exact = try which.model(rank: rank, as: .float32, on: device)
        let runner = try Executor(model).runner(blocks: 120, noise: 3)
        let reference = try ModelRunner(exact, blocks: 120, noise: 3)
        let vocabulary = model.configuration.vocabularySize
        // 1,024 and 2,048 are lengths that cuDNN attends to.
        let ends = [
            [2, 65, 130, 1_024], [3, 129, 1_100, 2_048], [70, 130, 1_111, 3_072],
        ]
        var starts = [0, 0, 0, 0]
        var next = 0
        // The blocks of each, in disorder.
        let blocks = ends[2].map { end in
            defer { next += (end + 63) / 64 + 1 }
            return (next..<next + (end + 63) / 64).map { $0 ^ 1 }
        }
        for (step, ends) in ends.enumerated() {
            var items: [Scheduler.Item] = []
            for (index, end) in ends.enumerated() {
                let positions = starts[index]..<end
                let tokens: [Int32] = positions.map { Int32(($0 * 37 + index + 5) % vocabulary) }
                items.append(
                    Scheduler.Item(
                        request: RequestID(index), tokens: tokens, start: starts[index],
                        blocks: Array(blocks[index].prefix((end + 63) / 64)),
                        predicts: step == 2 || index % 2 == step))
            }
            starts = ends
            let work = Scheduler.Step(items: items, preempted: [])
            let found: Tensor = try runner.logits(of: work)
            let expected: Tensor = try reference.logits(of: work)
            #expect(found.shape == expected.shape)
            let error = try distance(found, expected)
            #expect(error < 12 * ElementType.bfloat16.roundoff, "\(error)")
        }
    }

    @Test("a prompt behind which no logits are wanted fills the cache, of 16 and of 8 bits")
    func silent() throws {
        let model = try DeviceTestModel.wide.model(as: .bfloat16, on: .cuda(0))
        let exact = try DeviceTestModel.wide.model(as: .float32, on: .cuda(0))
        for type in [ElementType.bfloat16, .float8e4m3] {
            let runner = try Executor(model, cache: type).runner(blocks: 4)
            let reference = try ModelRunner(exact, blocks: 4, as: type)
            for (range, predicts) in [(0..<100, false), (100..<140, true)] {
                let tokens: [Int32] = range.map { Int32($0 * 7 + 1) }
                let item = Scheduler.Item(
                    request: RequestID(0), tokens: tokens, start: range.lowerBound,
                    blocks: [2, 0, 3], predicts: predicts)
                let step = Scheduler.Step(items: [item], preempted: [])
                let found: Tensor = try runner.logits(of: step)
                let expected: Tensor = try reference.logits(of: step)
                #expect(found.shape == expected.shape)
                guard found.count > 0 else { continue }
                let error = try distance(found, expected)
                // An e4m3 value that is rounded the other way is off by a sixteenth.
                let limit = type == .bfloat16 ? 12 * ElementType.bfloat16.roundoff : 0.06
                #expect(error < limit, "\(type) \(error)")
            }
        }
    }

    @Test(
        "tokens and their drafts, of different lengths, have the bits that they have one by one",
        arguments: DeviceTestModel.allCases, [ElementType.bfloat16, .float8e4m3])
    func drafted(_ kind: DeviceTestModel, cache: ElementType) throws {
        let model = try kind.model(as: .bfloat16, on: .cuda(0))
        let executor = try Executor(model, cache: cache)
        let vocabulary = model.configuration.vocabularySize
        let (alone, together) = (
            try executor.runner(blocks: 64, tapping: [0, 1]),
            try executor.runner(blocks: 64, tapping: [0, 1])
        )
        // Before a block's end, a split's and the window's.
        let starts = [60, 509, 1, 1_020]
        var next = 0
        let blocks = starts.map { start in
            defer { next += start / 64 + 2 }
            return Array(next..<next + start / 64 + 2).reversed() as [Int]
        }
        func item(_ index: Int, _ range: Range<Int>, drafted: Int, predicts: Bool = true)
            -> Scheduler.Item
        {
            Scheduler.Item(
                request: RequestID(index),
                tokens: range.map { Int32(($0 * 31 + 7 * index + 3) % vocabulary) },
                start: range.lowerBound,
                blocks: Array(blocks[index].prefix((range.upperBound + 63) / 64)),
                predicts: predicts, drafted: drafted)
        }
        for runner in [alone, together] {
            _ = try runner.logits(
                of: .init(
                    items: starts.indices.map {
                        item($0, 0..<starts[$0], drafted: 0, predicts: false)
                    }, preempted: []))
        }
        var places = starts
        for lengths in [[4, 4, 4, 4], [1, 3, 8, 2], [5, 1, 1, 7], [1, 1, 1, 1]] {
            var (expected, features) = ([[Float]](), [[Float]]())
            for (index, count) in lengths.enumerated() {
                for place in places[index]..<places[index] + count {
                    let step = Scheduler.Step(
                        items: [item(index, place..<place + 1, drafted: 0)], preempted: [])
                    expected.append(try alone.logits(of: step).elements())
                    features.append(
                        try #require(try alone.features(of: RequestID(index))).elements())
                }
            }
            let found = try together.logits(
                of: .init(
                    items: lengths.enumerated().map { index, count in
                        item(index, places[index]..<places[index] + count, drafted: count - 1)
                    }, preempted: []))
            #expect(found.shape == [expected.count, vocabulary])
            #expect(try found.elements(as: Float.self) == Array(expected.joined()))
            var tapped: [Float] = []
            for index in lengths.indices {
                tapped += try #require(try together.features(of: RequestID(index)))
                    .elements(as: Float.self)
            }
            #expect(tapped == Array(features.joined()))
            for (index, count) in lengths.enumerated() { places[index] += count }
        }
    }

    @Test("prompts and single tokens in one step")
    func mixed() throws {
        let model = try DeviceTestModel.qwen3.model(as: .bfloat16, on: .cuda(0))
        let runner = try Executor(model).runner(blocks: 8)
        let reference = try ModelRunner(model, blocks: 8)
        let prompt = (0..<70).map { Int32($0 * 11 % 1_003) }
        func items(_ last: Int) -> [Scheduler.Item] {
            [
                .init(
                    request: RequestID(0), tokens: [prompt[last]], start: last, blocks: [3, 1],
                    predicts: true),
                .init(
                    request: RequestID(1), tokens: prompt, start: 0, blocks: [0, 5], predicts: true),
            ]
        }
        let first = Scheduler.Step(
            items: [
                .init(
                    request: RequestID(0), tokens: Array(prompt.prefix(66)), start: 0,
                    blocks: [3, 1], predicts: false)
            ], preempted: [])
        for runner in [runner, reference] { _ = try runner.logits(of: first) }
        let step = Scheduler.Step(items: items(66), preempted: [])
        let (found, expected) = (try runner.logits(of: step), try reference.logits(of: step))
        #expect(found.shape == [2, 1_003])
        let error = try distance(found, expected.converted(to: .float32))
        #expect(error < 12 * ElementType.bfloat16.roundoff)
    }
}

enum DeviceTestMachine {
    /// If a GPU is required, the answer is yes: the tests then run and fail.
    static let hasDevice =
        TorchRuntime.cudaDeviceCount > 0 || TestData.environment["MINIMA_REQUIRE_GPU"] == "1"
}
