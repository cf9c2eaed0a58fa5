import Artifacts
import Testing

@testable import Generate

@Suite("Chunks of prompts")
struct PromptChunkTests {
    @Test("tokens, positions and slots of pieces, and the rows that predict")
    func pieces() {
        let items: [Scheduler.Item] = [
            .init(
                request: RequestID(0), tokens: [7, 8, 9], start: 62, blocks: [4, 1], predicts: true),
            .init(
                request: RequestID(1), tokens: [1, 2], start: 0, blocks: [3], predicts: false),
            .init(
                request: RequestID(2), tokens: [5, 6], start: 128, blocks: [0, 9, 2],
                predicts: true),
        ]
        let chunk = PromptChunk(items, blockTokens: 64)
        #expect(chunk.tokens == 7)
        let tokens: [Int32] = [7, 8, 9, 1, 2, 5, 6]
        let positions: [Int32] = [62, 63, 64, 0, 1, 128, 129]
        let slots: [Int32] = [318, 319, 64, 192, 193, 128, 129]
        #expect(chunk.values == tokens + positions + slots)
        #expect(chunk.spans.map(\.rows) == [0..<3, 3..<5, 5..<7])
        #expect(chunk.pieces.map(\.total) == [65, 2, 130])
        #expect(chunk.keptRows == [2, 6])
        #expect(chunk.predictingRows == [0, 1] && chunk.scoredRows.isEmpty)
        let last: [PromptChunk.Span] = [
            .init(piece: 0, rows: 0..<1), .init(piece: 2, rows: 1..<2),
        ]
        #expect(chunk.keptSpans == last)
    }

    @Test("cuDNN attends where lengths recur, and where it pays at once")
    func plans() throws {
        let large = try ModelConfiguration(
            parsing: Array(
                """
                {"model_type": "qwen3", "vocab_size": 64, "hidden_size": 5120, "intermediate_size": 25600,
                 "num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128,
                 "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "tie_word_embeddings": false}
                """.utf8))
        func isWorth(_ queries: Int, _ past: Int) -> Bool {
            PromptAttention.isWorthPlan(queries: queries, past: past, large)
        }
        #expect(isWorth(2_048, 0) && isWorth(2_048, 6_144))
        #expect(!isWorth(2_047, 0) && !isWorth(2_048, 64) && !isWorth(4_000, 0))
        #expect(isWorth(6_001, 0) && isWorth(2_000, 8_000))
    }
}
