import Artifacts
import Foundation
import Tensors
import Testing
import Text

@testable import Generate
@testable import Models

/// Hands out features as a target's runner would.
private final class FeatureRunner: StepRunner {
    let blocks: Int
    let blockTokens = 64
    var features: [RequestID: Tensor] = [:]

    init(blocks: Int) { self.blocks = blocks }

    func logits(of step: Scheduler.Step) throws -> Tensor {
        preconditionFailure("drafts are asked for alone")
    }

    func scores(of request: RequestID) -> [TokenLogprobs] { [] }
    func features(of request: RequestID) -> Tensor? { features[request] }
}

/// Drafts as the GPU's kernels can run them: heads of 64 and 128, groups, both published layouts, a width of their own.
enum DeviceTestDraft: String, CaseIterable {
    case authors, speculators, single

    /// Of the target `DeviceTestModel.qwen3`.
    func configuration(headDim: Int? = nil) throws -> DraftConfiguration {
        let shape =
            switch self {
            case .authors:
                """
                "hidden_size": 512, "intermediate_size": 712, "num_attention_heads": 8,
                "num_key_value_heads": 2, "head_dim": \(headDim ?? 128)
                """
            case .speculators:
                """
                "hidden_size": 256, "intermediate_size": 336, "num_attention_heads": 6,
                "num_key_value_heads": 1, "head_dim": \(headDim ?? 64)
                """
            case .single:
                """
                "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 3,
                "num_key_value_heads": 3, "head_dim": \(headDim ?? 128)
                """
            }
        let layer = """
            "vocab_size": 1003, "num_hidden_layers": 1, "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5, "rope_theta": 5000, \(shape)
            """
        let text =
            self == .speculators
            ? """
            {"speculators_model_type": "eagle3", "draft_vocab_size": 301, "target_hidden_size": 256,
             "norm_before_residual": true, "transformer_layer_config": {"model_type": "llama", \(layer)}}
            """
            : """
            {"architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama",
             "draft_vocab_size": 301, "target_hidden_size": 256, \(layer)}
            """
        return try DraftConfiguration(parsing: Array(text.utf8), of: "config.json")
    }

    func model(headDim: Int? = nil, embedding: Tensor) throws -> DraftModel {
        try DraftModel(random: configuration(headDim: headDim), embedding: embedding, seed: 3)
    }
}

extension DraftModel {
    /// The same weights in float32 on the CPU.
    fileprivate var exact: DraftModel {
        get throws {
            DraftModel(
                configuration, try weights.mapValues { try $0.to(.float32, .cpu) },
                embedding: try embedding.to(.float32, .cpu),
                targets: try targets.moved(to: .cpu))
        }
    }
}

@Suite("Drafts on a GPU", .enabled(if: DeviceTestMachine.hasDevice, "there is no GPU"))
struct DeviceDrafterTests {
    /// What `DraftModel` computes in float32, token by token.
    private final class Reference {
        private let model: DraftModel
        private let cache: PagedCache
        private let targets: [Int32]

        init(_ model: DraftModel, blocks: Int) throws {
            self.model = try model.exact
            cache = try PagedCache(
                model.configuration.layer, blocks: blocks, blockTokens: 64, as: .float32, on: .cpu)
            targets = try model.targets.elements()
        }

        func forward(
            _ g: Tensor, _ tokens: [Int32], start: Int, blocks: [Int]
        ) throws -> Tensor {
            try model.forward(
                g, model.batch([.init(tokens: tokens, start: start, blocks: blocks)], cache))
        }

        func combine(_ features: Tensor) throws -> Tensor {
            // As the GPU has them.
            try model.combine(features.converted(to: .bfloat16).to(.float32, .cpu))
        }

        /// Logits behind each guess of a chain that begins with the last row of `output`.
        func logits(
            behind output: Tensor, _ guessed: [Int32], at end: Int, blocks: [Int]
        ) throws -> [[Float]] {
            let rows = output.shape[0]
            var last = try output.narrowed(0, rows - 1..<rows)
            return try guessed.indices.map { pass in
                if pass > 0 {
                    last = try forward(
                        last, [guessed[pass - 1]], start: end + pass - 1, blocks: blocks)
                }
                return try model.project(last).elements()
            }
        }

        func place(of token: Int32) throws -> Int { try #require(targets.firstIndex(of: token)) }
    }

    /// Requests in one drafter, beside the reference.
    private final class Texts {
        let drafter: DeviceDrafter
        let width: Int
        private let runner: FeatureRunner
        private let reference: Reference
        private let vocabulary: Int
        private var ends: [Int]
        private let blocks: [[Int]]
        private var seed: UInt64 = 100
        /// Distances of the last pass' logits from the reference's, relative, and for each pass of the chain.
        private(set) var distances: [Double] = []
        /// How far the token that was guessed is from the likeliest of the reference, relative to the largest logit.
        private(set) var gaps: [Float] = []
        private(set) var guesses = 0
        private(set) var likeliest = 0

        init(_ draft: DraftModel, _ target: DeviceModel, tokens: [Int]) throws {
            var next = 0
            blocks = tokens.map { count in
                defer { next += count / 64 + 2 }
                return Array(next..<next + count / 64 + 2).reversed()
            }
            runner = FeatureRunner(blocks: next)
            drafter = try DeviceDrafter(draft, behind: runner, of: target, limit: 7)
            reference = try Reference(draft, blocks: next)
            vocabulary = draft.embedding.shape[0]
            width = 3 * draft.configuration.targetHiddenSize
            ends = tokens.map { _ in 0 }
        }

        private func token(_ request: Int, _ position: Int) -> Int32 {
            Int32((position * 31 + request * 7 + 3) % vocabulary)
        }

        /// A step of each request, of which `kept[request]` tokens stand, one more than that computed.
        /// - Parameter decodes: as tokens with drafts; or as pieces of prompts.
        func advance(_ kept: [Int], wanted: [Int], decodes: Bool) throws {
            var (items, turns, features) = ([Scheduler.Item](), [DraftTurn](), [Tensor]())
            for (request, count) in kept.enumerated() {
                let start = ends[request]
                let computed = decodes ? count + 1 : count
                let tokens = (start..<start + computed).map { token(request, $0) }
                items.append(
                    .init(
                        request: RequestID(request), tokens: tokens, start: start,
                        blocks: blocks[request], predicts: true,
                        drafted: decodes ? computed - 1 : 0))
                seed += 1
                let found = try Tensor.normal(
                    [computed, width], seed: seed, on: drafter.draft.model.embedding.device)
                runner.features[RequestID(request)] = try found.converted(
                    to: decodes ? .float32 : .bfloat16)
                features.append(try found.narrowed(0, 0..<count))
                turns.append(
                    DraftTurn(
                        request: RequestID(request), item: request, kept: count,
                        tokens: (0...start + count).map { token(request, $0) },
                        blocks: blocks[request], wanted: wanted[request],
                        choices: Array(repeating: nil, count: wanted[request])))
            }
            let drafts = try drafter.draft(behind: .init(items: items, preempted: []), turns)
            let chain = min(7, wanted.max() ?? 0)
            for (request, count) in kept.enumerated() {
                let (start, end) = (ends[request], ends[request] + count)
                ends[request] = end
                let output = try reference.forward(
                    reference.combine(features[request]),
                    (start..<end).map { token(request, $0 + 1) }, start: start,
                    blocks: blocks[request])
                guard wanted[request] > 0 else {
                    #expect(drafts[RequestID(request)] == nil)
                    continue
                }
                let found = try #require(drafts[RequestID(request)])
                #expect(found.count == wanted[request])
                let logits = try reference.logits(
                    behind: output, found, at: end, blocks: blocks[request])
                for (token, row) in zip(found, logits) {
                    let place = try reference.place(of: token)
                    let (most, largest) = (row.max() ?? 0, row.map(abs).max() ?? 1)
                    gaps.append((most - row[place]) / largest)
                    guesses += 1
                    if row[place] == most { likeliest += 1 }
                }
                // Of the requests that take part, in their order.
                if found.count == chain, let last = logits.last {
                    let place = kept.indices.filter {
                        $0 < request && (kept[$0] <= 8 || wanted[$0] > 0)
                    }.count
                    let own = try drafter.draft.memory.logits.narrowed(0, place..<place + 1)
                        .elements(as: Float.self)
                    let difference = zip(own, last).reduce(0.0) {
                        $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1))
                    }
                    let size = last.reduce(0.0) { $0 + Double($1 * $1) }
                    // Each pass begins with what the one before it ended with.
                    distances.append((difference / size).squareRoot() / Double(1 + chain))
                }
            }
        }
    }

    private func target() throws -> DeviceModel {
        try DeviceModel(DeviceTestModel.qwen3.model(as: .bfloat16, on: .cuda(0)))
    }

    @Test(
        "logits and guesses are the definition's in float32, within bfloat16's rounding",
        arguments: DeviceTestDraft.allCases)
    func logits(_ kind: DeviceTestDraft) throws {
        let target = try target()
        let draft = try kind.model(embedding: target.model.ends.embedding)
        #expect(DeviceDraft.unsupported(draft) == nil)
        try withoutGradients {
            // Before a block's end, a split's, and a short one.
            let texts = try Texts(draft, target, tokens: [120, 600, 80, 1_200])
            try texts.advance([60, 505, 1, 1_015], wanted: [3, 0, 3, 3], decodes: false)
            try texts.advance([1, 1, 1, 1], wanted: [1, 1, 1, 1], decodes: true)
            try texts.advance([3, 2, 1, 5], wanted: [4, 4, 4, 4], decodes: true)
            try texts.advance([8, 1, 4, 2], wanted: [7, 2, 0, 7], decodes: true)
            try texts.advance([5, 7, 20, 6], wanted: [2, 2, 2, 2], decodes: false)
            try texts.advance([1, 2, 1, 1], wanted: [0, 0, 0, 0], decodes: true)
            try texts.advance([2, 1, 1, 2], wanted: [5, 5, 5, 5], decodes: true)
            let roundoff = ElementType.bfloat16.roundoff
            #expect(texts.distances.allSatisfy { $0 < 4 * roundoff }, "\(texts.distances)")
            #expect(texts.gaps.allSatisfy { $0 < 12 * Float(roundoff) }, "\(texts.gaps)")
            #expect(texts.distances.count > 10)
            #expect(4 * texts.likeliest > 3 * texts.guesses, "\(texts.likeliest)")
        }
    }

    @Test("the draft that ships guesses what the CPU guesses")
    func shipped() throws {
        let configuration = try ModelConfiguration(folder: TestData.tiny)
        let draftFolder = TestData.root + "/Models/tiny-draft"
        func guesses(_ type: ElementType, _ device: Device) throws -> [[Int32]] {
            let model = try CausalLanguageModel(
                Checkpoint(TestData.tiny), configuration, as: type, on: device)
            let draft = try DraftModel(folder: draftFolder, for: model)
            let executor = try Executor(model)
            let speculating = try executor.speculating(.init(.draft(draft), length: 4), blocks: 16)
            let drafter = try #require(speculating.drafter)
            #expect(speculating.note == nil)
            #expect(device == .cpu ? drafter is ModelDrafter : drafter is DeviceDrafter)
            let tokens = try Tokenizer(path: TestData.tiny).encode(
                "Once upon a time there was a king who had three sons. The eldest of them went out into the world to seek his fortune, and when he had gone a long way he came to a forest."
            ).map { Int32($0) }
            var found: [[Int32]] = []
            var position = 0
            func advance(_ count: Int, decodes: Bool) throws {
                let item = Scheduler.Item(
                    request: RequestID(1), tokens: Array(tokens[position..<position + count]),
                    start: position, blocks: [2, 0, 5, 7], predicts: true,
                    drafted: decodes ? count - 1 : 0)
                let step = Scheduler.Step(items: [item], preempted: [])
                _ = try speculating.runner.logits(of: step)
                position += count
                let turn = DraftTurn(
                    request: RequestID(1), item: 0, kept: count,
                    tokens: Array(tokens[...position]), blocks: [2, 0, 5, 7], wanted: 4,
                    choices: [nil, nil, nil, nil])
                found.append(try drafter.draft(behind: step, [turn])[RequestID(1)] ?? [])
            }
            try advance(12, decodes: false)
            for count in [1, 1, 3, 2, 1, 4, 1, 5] { try advance(count, decodes: true) }
            while position + 2 < tokens.count { try advance(1, decodes: true) }
            return found
        }
        let (gpu, cpu) = try withoutGradients {
            (try guesses(.bfloat16, .cuda(0)), try guesses(.float32, .cpu))
        }
        #expect(gpu.count == cpu.count && gpu.allSatisfy { $0.count == 4 })
        // Where two tokens are as likely as bfloat16 can tell, either is guessed, and what follows differs.
        let same = zip(gpu, cpu).map { zip($0, $1).prefix { $0 == $1 }.count }.reduce(0, +)
        #expect(same > 4 * cpu.count * 8 / 10, "\(same) of \(4 * cpu.count)")
    }

    @Test("guesses do not depend on who else is guessed for")
    func neighbours() throws {
        let target = try target()
        let draft = try DeviceTestDraft.authors.model(embedding: target.model.ends.embedding)
        let runner = FeatureRunner(blocks: 200)
        func drafter() throws -> DeviceDrafter {
            try DeviceDrafter(draft, behind: runner, of: target, limit: 4)
        }
        let (alone, together) = (try drafter(), try drafter())
        // More columns than a pass has.
        let count = DeviceKernels.maxColumns / 2 + 3
        func item(_ request: Int, start: Int, tokens: Int, decodes: Bool) -> Scheduler.Item {
            .init(
                request: RequestID(request),
                tokens: (0..<tokens).map { Int32((start + $0 + request) % 1_003) }, start: start,
                blocks: [request], predicts: true, drafted: decodes ? tokens - 1 : 0)
        }
        func turn(_ request: Int, _ place: Int, kept: Int, end: Int) -> DraftTurn {
            DraftTurn(
                request: RequestID(request), item: place, kept: kept,
                tokens: (0...end).map { Int32(($0 + request) % 1_003) }, blocks: [request],
                wanted: 4, choices: [nil, nil, nil, nil])
        }
        try withoutGradients {
            for (start, tokens, decodes) in [(0, 5, false), (5, 3, true)] {
                for request in 0..<count {
                    runner.features[RequestID(request)] = try Tensor.normal(
                        [tokens, 768], seed: UInt64(1_000 * start + request), on: .cuda(0))
                }
                let items = (0..<count).map {
                    item($0, start: start, tokens: tokens, decodes: decodes)
                }
                let found = try together.draft(
                    behind: .init(items: items, preempted: []),
                    (0..<count).map { turn($0, $0, kept: tokens, end: start + tokens) })
                #expect(found.count == count)
                for request in 0..<count {
                    let own = try alone.draft(
                        behind: .init(items: [items[request]], preempted: []),
                        [turn(request, 0, kept: tokens, end: start + tokens)])
                    let id = RequestID(request)
                    #expect(own[id]?.count == 4 && own[id] == found[id], "request \(request)")
                }
            }
        }
    }

    @Test("drawn guesses are those of the sampler; blocks that end cut a draft, and no other")
    func drawn() throws {
        let target = try target()
        let draft = try DeviceTestDraft.speculators.model(embedding: target.model.ends.embedding)
        let targets = try draft.targets.elements(as: Int32.self)
        let runner = FeatureRunner(blocks: 16)
        let drafter = try DeviceDrafter(draft, behind: runner, of: target, limit: 4)
        let count = 8
        func guess(_ wanted: Int, start: Int, kept: Int, decodes: Bool) throws -> (
            [RequestID: [Int32]], [TokenChoice]
        ) {
            var options = SamplingOptions()
            (options.temperature, options.topP) = (0.8, 0.95)
            let choices = (0..<count).map { request in
                TokenChoice(
                    options: options, seen: [1, 2], uniform: (Double(request) + 0.37) / 8)
            }
            for request in 0..<count {
                runner.features[RequestID(request)] = try Tensor.normal(
                    [kept, 768], seed: UInt64(7 * start + request), on: .cuda(0))
            }
            let items = (0..<count).map { request in
                Scheduler.Item(
                    request: RequestID(request),
                    tokens: (0..<kept).map { Int32(start + $0 + request) }, start: start,
                    blocks: [request], predicts: true, drafted: decodes ? kept - 1 : 0)
            }
            let turns = (0..<count).map { request in
                // The last four have a block more.
                DraftTurn(
                    request: RequestID(request), item: request, kept: kept,
                    tokens: (0...start + kept).map { Int32($0 + request) },
                    blocks: request < 4 ? [request] : [request, 8 + request], wanted: wanted,
                    choices: Array(repeating: choices[request], count: wanted))
            }
            return (try drafter.draft(behind: .init(items: items, preempted: []), turns), choices)
        }
        try withoutGradients {
            let (found, choices) = try guess(1, start: 0, kept: 61, decodes: false)
            let logits = try drafter.draft.memory.logits.elements(as: Float.self)
            var same = 0
            for (request, choice) in choices.enumerated() {
                let row = Array(logits[request * targets.count..<(request + 1) * targets.count])
                let expected = targets[Sampler.place(of: choice, in: row)]
                if found[RequestID(request)] == [expected] { same += 1 }
            }
            #expect(same >= count - 1, "a sum may be rounded to the other side")
            #expect(Set(found.values.joined()).count > 2)
            // Positions 61 and 62 are computed: a guess behind 62, and one more for each place that is left.
            let (cut, _) = try guess(4, start: 61, kept: 2, decodes: true)
            for request in 0..<count {
                #expect(cut[RequestID(request)]?.count == (request < 4 ? 2 : 4))
            }
        }
    }

    @Test("a draft that the kernels do not know goes through libtorch, and that is said")
    func fallback() throws {
        let model = try DeviceTestModel.qwen3.model(as: .bfloat16, on: .cuda(0))
        let draft = try DeviceTestDraft.authors.model(
            headDim: 32, embedding: model.ends.embedding)
        let speculating = try Executor(model).speculating(.init(.draft(draft)), blocks: 4)
        #expect(speculating.drafter is ModelDrafter)
        #expect(
            speculating.note
                == "drafted by libtorch, without kernels of our own: heads of 32 dimensions, not 64 or 128"
        )
    }
}

@Suite("Which drafts the GPU's kernels cannot run is said")
struct DeviceDraftSupportTests {
    private func reason(_ kind: DeviceTestDraft, headDim: Int? = nil, as type: ElementType) throws
        -> String?
    {
        let embedding = try Tensor.zeros([1_003, 256], type)
        return DeviceDraft.unsupported(try kind.model(headDim: headDim, embedding: embedding))
    }

    @Test("drafts that they run", arguments: DeviceTestDraft.allCases)
    func supported(_ kind: DeviceTestDraft) throws {
        #expect(try reason(kind, as: .bfloat16) == nil)
    }

    @Test("others, by the property that none knows")
    func unsupported() throws {
        #expect(try reason(.authors, as: .float32) == "weights of F32, not bfloat16")
        #expect(
            try reason(.single, headDim: 32, as: .bfloat16)
                == "heads of 32 dimensions, not 64 or 128")
    }
}
