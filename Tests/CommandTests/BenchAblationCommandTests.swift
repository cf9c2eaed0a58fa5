import Foundation
import Testing

/// `minima bench ablation` on a model of four narrow layers, with budgets of a few windows.
@Suite("minima bench ablation")
struct BenchAblationCommandTests {
    private static let corpus = Program.root + "/Examples/calibration.txt"
    private static let rows = [
        "dense", "dense-kernels", "uniform", "sensitivity", "mixed-formats", "healing", "kernels",
        "speculation",
    ]

    /// A model that has seen one step; made once.
    private static let model: Result<String, any Error> = Result {
        let folder = Program.cache + "-ablation"
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let config = """
            {"model_type": "qwen3", "vocab_size": 4096, "hidden_size": 64, "intermediate_size": 96,
             "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1,
             "head_dim": 32, "max_position_embeddings": 256, "tie_word_embeddings": true,
             "dtype": "float32"}
            """
        try Data(config.utf8).write(to: URL(fileURLWithPath: folder + "/config.json"))
        let made = try Program.run(
            "pretrain", "--config", folder + "/config.json", "--tokenizer", Program.tiny,
            "--corpus", corpus, "--tokens", "12800", "--batch-tokens", "256", "--window", "32",
            "--device", "cpu", "--quiet", "--output", folder + "/model")
        #expect(made.status == 0, "\(made.errors)")
        return folder + "/model"
    }

    private func arguments(_ model: String, _ scratch: Scratch, _ more: [String] = []) -> [String] {
        [
            "bench", "ablation", model, "--corpus", Self.corpus, "--text", Program.text, "--output",
            scratch.path("ablation"), "--window", "32", "--windows", "2", "--text-windows", "2",
            "--tokens", "512", "--draft-tokens", "1K", "--draft-length", "2", "--prompts", "2",
            "--prompt-tokens", "16", "--new-tokens", "12", "--device", "cpu", "--threads", "1",
            "--quiet",
        ] + more
    }

    private func lines(_ result: Program.Result) throws -> [[String: Any]] {
        #expect(result.status == 0, "\(result.errors)")
        return try #require(
            try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]])
    }

    @Test("all rows, in order; a second run makes and measures only what is missing")
    func rows() throws {
        try withScratch { scratch in
            let model = try Self.model.get()
            let figure = scratch.path("ablation.svg")
            let first = try lines(
                Program.run(arguments(model, scratch, ["--json", "--figure", figure])))
            #expect(first.compactMap { $0["row"] as? String } == Self.rows)
            func numbers(_ key: String) -> [Double] { first.compactMap { $0[key] as? Double } }
            let (perplexities, ratios) = (numbers("perplexity"), numbers("perplexity_ratio"))
            #expect(perplexities.count == 8 && ratios[0] == 1)
            #expect(zip(perplexities, ratios).allSatisfy { abs($0 / perplexities[0] - $1) < 1e-9 })
            // Kernels compute what libtorch does, and a draft changes nothing.
            #expect(abs(perplexities[1] / perplexities[0] - 1) < 1e-4)
            #expect(abs(perplexities[6] / perplexities[5] - 1) < 1e-4)
            #expect(perplexities[7] == perplexities[6])
            let linear = numbers("linear_ratio")
            #expect(linear[0] == 1 && linear[1] == 1)
            #expect(linear.dropFirst(2).allSatisfy { $0 <= 0.65 && $0 > 0.4 })
            #expect(Set(numbers("linear_parameters").suffix(4)).count == 1)
            let (speeds, gains) = (numbers("tokens_per_second"), numbers("speed_ratio"))
            #expect(speeds.allSatisfy { $0 > 0 } && gains[0] == 1)
            #expect(zip(speeds, gains).allSatisfy { abs($0 / speeds[0] - $1) < 1e-9 })
            let (parameters, bytes) = (numbers("parameters"), numbers("bytes"))
            #expect(parameters[7] > parameters[6] && bytes[7] > bytes[6], "the draft counts")
            #expect(first.compactMap { $0["acceptance_length"] as? Double }.count == 1)
            #expect(try #require(first[7]["acceptance_length"] as? Double) >= 1)

            let rows = scratch.path("ablation/rows")
            func text(_ row: String) throws -> String {
                let entry = try JSONSerialization.jsonObject(
                    with: Data(contentsOf: URL(fileURLWithPath: "\(rows)/\(row).json")))
                let speed = (entry as? [String: Any])?["speed"] as? [String: Any]
                return try #require(speed?["text"] as? String)
            }
            #expect(try text("kernels") == text("speculation"))
            let picture = try String(contentsOfFile: figure, encoding: .utf8)
            #expect(picture.hasPrefix("<svg") && picture.contains("+ speculation"))

            // As if it had been killed while it measured the last but one row.
            let healed = scratch.path("ablation/models/healed/model.safetensors")
            let made = try FileManager.default.attributesOfItem(atPath: healed)[.modificationDate]
            try FileManager.default.removeItem(atPath: "\(rows)/kernels.json")
            let second = try lines(Program.run(arguments(model, scratch, ["--json"])))
            for (before, after) in zip(first, second) where before["row"] as? String != "kernels" {
                #expect(before as NSDictionary == after as NSDictionary)
            }
            #expect(second[6]["perplexity"] as? Double == perplexities[6])
            let kept = try FileManager.default.attributesOfItem(atPath: healed)[.modificationDate]
            #expect(made as? Date == kept as? Date)

            for (change, named) in [
                (["--keep", "0.5"], "another keep;"),
                (["--draft-tokens", "2K"], "another draft: batch-tokens, tokens;"),
                (["--new-tokens", "13"], "another generation: new-tokens; remove it"),
            ] {
                let other = try Program.run(arguments(model, scratch, change))
                #expect(other.status == 1 && other.errors.contains(named), "\(other.errors)")
            }
            let csv = try Program.run(arguments(model, scratch, ["--csv"])).output
            #expect(csv.hasPrefix("row,text,scored_tokens,perplexity,"))
            #expect(csv.split(separator: "\n").count == 9)
        }
    }

    @Test(
        "what cannot be measured is refused before anything is made",
        arguments: [
            (["--prompts", "1000"], "1001 are needed"),
            (["--prompt-tokens", "250"], "context of 256"),
            (["--text", corpus], "of the evaluation text stands in the corpus"),
            (["--text", Program.text], "two texts are named evaluation.txt"),
            (["--draft", Program.root + "/Models/tiny-draft"], "tiny-draft"),
        ])
    func refusals(_ change: [String], _ words: String) throws {
        try withScratch { scratch in
            let model = try Self.model.get()
            let result = try Program.run(arguments(model, scratch, change))
            #expect(result.status == 1 && result.errors.contains(words), "\(result.errors)")
            #expect(!FileManager.default.fileExists(atPath: scratch.path("ablation")))
        }
    }

    @Test(
        "wrong usage ends with status 2",
        arguments: [
            ["--keep", "1"], ["--new-tokens", "1"], ["--kl", "0"], ["--csv", "--json"],
        ])
    func wrongUsage(arguments: [String]) throws {
        let result = try Program.run(
            ["bench", "ablation", "m", "--corpus", "c", "--text", "t", "--output", "o"] + arguments)
        #expect(result.status == 2, "\(result.errors)")
    }
}
