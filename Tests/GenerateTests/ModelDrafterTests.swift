import Artifacts
import Foundation
import Models
import Tensors
import Testing
import Text

@testable import Generate

/// Drafts with random weights and what they guess, by Tests/Reference/drafts_reference.py.
@Suite("EAGLE-3 drafts", .enabled(if: TestData.hasDrafts))
struct ModelDrafterTests {
    private struct Expected: Decodable {
        struct Draft: Decodable {
            let tokens: [Int32]
            /// Between the two likeliest tokens, where they are closest.
            let margin: Double
        }
        let text: [Int32]
        /// Behind the first two tokens, the first three, ….
        let drafts: [Draft]
    }

    private static func expected(_ name: String) throws -> Expected {
        let file = URL(fileURLWithPath: "\(TestData.drafts)/\(name).json")
        return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
    }

    private func target() throws -> CausalLanguageModel {
        try CausalLanguageModel(
            Checkpoint(TestData.tiny), ModelConfiguration(folder: TestData.tiny))
    }

    @Test(
        "guesses are the reference's, token by token, in pieces, and behind drafts that were wrong",
        arguments: ["authors", "speculators"])
    func guesses(name: String) throws {
        let target = try target()
        let draft = try DraftModel(folder: "\(TestData.drafts)/\(name)", for: target)
        let expected = try Self.expected(name)
        let executor = try Executor(target)
        let runner = try executor.runner(
            blocks: 4, tapping: draft.tappedLayers(of: target.configuration.layerCount))
        let drafter = try ModelDrafter(draft, behind: runner, of: executor, limit: 4)
        var (position, compared) = (0, 0)
        /// Computes some tokens of the text, and as many wrong ones, and compares what is guessed.
        func advance(_ kept: Int, wrong: Int, decodes: Bool) throws {
            let tokens =
                expected.text[position..<position + kept] + Array(repeating: Int32(9), count: wrong)
            let item = Scheduler.Item(
                request: RequestID(1), tokens: Array(tokens), start: position, blocks: [2, 0],
                predicts: true, drafted: decodes ? kept + wrong - 1 : 0)
            let step = Scheduler.Step(items: [item], preempted: [])
            _ = try runner.logits(of: step)
            position += kept
            let turn = DraftTurn(
                request: RequestID(1), item: 0, kept: kept,
                tokens: Array(expected.text[...position]), blocks: [2, 0], wanted: 4,
                choices: [nil, nil, nil, nil])
            let found = try drafter.draft(behind: step, [turn])[RequestID(1)]
            let truth = expected.drafts[position - 1]
            if truth.margin > 5e-3 {
                #expect(found == truth.tokens, "behind \(position + 1) tokens")
                compared += 1
            }
        }
        try advance(7, wrong: 0, decodes: false)
        for _ in 0..<8 { try advance(1, wrong: 0, decodes: true) }
        for kept in [1, 3, 5, 2, 4, 1] { try advance(kept, wrong: 5 - kept, decodes: true) }
        try advance(12, wrong: 0, decodes: false)
        while position + 5 < expected.text.count - 1 { try advance(2, wrong: 3, decodes: true) }
        #expect(compared > 20)
    }

    @Test("a request whose states have a gap is not guessed for, and another is")
    func gaps() throws {
        let target = try target()
        let draft = try DraftModel(folder: "\(TestData.drafts)/authors", for: target)
        let executor = try Executor(target)
        let runner = try executor.runner(
            blocks: 4, tapping: draft.tappedLayers(of: target.configuration.layerCount))
        let drafter = try ModelDrafter(draft, behind: runner, of: executor, limit: 2)
        let text = try Self.expected("authors").text
        func drafted(_ request: Int, from start: Int, to end: Int, asking: Bool = true) throws
            -> Bool
        {
            let item = Scheduler.Item(
                request: RequestID(request), tokens: Array(text[start..<end]), start: start,
                blocks: [request], predicts: true)
            let step = Scheduler.Step(items: [item], preempted: [])
            _ = try runner.logits(of: step)
            guard asking else { return false }
            let turn = DraftTurn(
                request: RequestID(request), item: 0, kept: end - start,
                tokens: Array(text[...end]), blocks: [request], wanted: 2, choices: [nil, nil])
            return try drafter.draft(behind: step, [turn])[RequestID(request)] != nil
        }
        #expect(try drafted(1, from: 0, to: 9))
        _ = try drafted(1, from: 9, to: 10, asking: false)
        #expect(try !drafted(1, from: 10, to: 11))
        #expect(try !drafted(1, from: 11, to: 12), "once and for all")
        #expect(try drafted(2, from: 0, to: 9))
        // Forgotten, the number may be another's.
        drafter.end(RequestID(1))
        #expect(try drafted(1, from: 0, to: 5))
    }

    @Test(
        "what waited on the host is guessed on as if it had stayed, in the bytes that are allowed")
    func spilled() throws {
        let target = try target()
        let draft = try DraftModel(folder: "\(TestData.drafts)/authors", for: target)
        let executor = try Executor(target)
        let own = PagedCache.byteCount(
            draft.configuration.layer, blocks: 1, blockTokens: Executor.blockTokens, as: .float32)
        let bytes = 2 * (executor.blockBytes + own)
        let text = try Self.expected("authors").text
        func guesses(spilling: Bool, bytes: Int) throws -> [Int32]? {
            let speculating = try executor.speculating(
                Speculation(.draft(draft), length: 4), blocks: 4, spill: bytes)
            let drafter = try #require(speculating.drafter)
            #expect(speculating.runner.spillBlocks == (bytes == 0 ? 0 : 2))
            func run(
                _ request: Int, from start: Int, to end: Int, in block: Int,
                saved: [Scheduler.Transfer] = [], restored: [Scheduler.Transfer] = []
            ) throws -> [Int32]? {
                let item = Scheduler.Item(
                    request: RequestID(request), tokens: Array(text[start..<end]), start: start,
                    blocks: [block], predicts: true)
                let step = Scheduler.Step(
                    items: [item], preempted: [], saved: saved, restored: restored)
                try drafter.transfer(for: step)
                _ = try speculating.runner.logits(of: step)
                let turn = DraftTurn(
                    request: RequestID(request), item: 0, kept: end - start,
                    tokens: Array(text[...end]), blocks: [block], wanted: 4,
                    choices: [nil, nil, nil, nil])
                return try drafter.draft(behind: step, [turn])[RequestID(request)]
            }
            _ = try run(1, from: 0, to: 11, in: 2)
            guard spilling else { return try run(1, from: 11, to: 12, in: 2) }
            _ = try run(2, from: 3, to: 14, in: 2, saved: [.init(block: 2, place: 1)])
            return try run(1, from: 11, to: 12, in: 0, restored: [.init(block: 0, place: 1)])
        }
        let stayed = try #require(try guesses(spilling: false, bytes: 0))
        #expect(try guesses(spilling: true, bytes: bytes) == stayed)
    }

    @Test("drafts of another model, and folders that are none, are refused by name")
    func refusals() throws {
        let target = try target()
        let files = FileManager.default
        let folder = NSTemporaryDirectory() + "minima-draft-\(UUID().uuidString)"
        defer { try? files.removeItem(atPath: folder) }
        func changed(_ key: String, _ value: Any?) throws -> String {
            try? files.removeItem(atPath: folder)
            try files.copyItem(atPath: "\(TestData.drafts)/authors", toPath: folder)
            let path = URL(fileURLWithPath: folder + "/config.json")
            var members =
                try JSONSerialization.jsonObject(with: Data(contentsOf: path)) as? [String: Any]
                ?? [:]
            members[key] = value
            try JSONSerialization.data(withJSONObject: members).write(to: path)
            do {
                _ = try DraftModel(folder: folder, for: target)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(try changed("unused", 1) == "")
        #expect(
            try changed("vocab_size", 5_000).contains(
                "vocabulary of 5000 tokens, and the model has 4096"))
        #expect(
            try changed("target_hidden_size", 512).contains("512 values, and the model's have 256"))
        #expect(try changed("architectures", ["LlamaForCausalLM"]).contains("no EAGLE-3 draft"))
        #expect(try changed("num_hidden_layers", 2).contains("an EAGLE-3 draft has 1"))
        #expect(try changed("draft_vocab_size", 299).contains("lm_head.weight"))
        #expect(
            try changed("draft_vocab_size", 9_999).contains("larger than the target's vocabulary"))
        #expect(try changed("intermediate_size", 100).contains("gate_proj.weight"))
        #expect(try changed("norm_before_fc", true).contains("not computed here"))
        #expect(
            try changed("eagle_config", ["eagle_aux_hidden_state_layer_ids": [1, 2, 6]])
                .contains("layer 6, and the model has 6"))
        #expect(try changed("speculators_model_type", "medusa").contains("medusa"))
        #expect(throws: (any Error).self) { try DraftModel(folder: TestData.tiny, for: target) }
    }
}
