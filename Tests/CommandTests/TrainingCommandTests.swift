import Foundation
import Testing

@Suite("minima pretrain and heal", .serialized)
struct TrainingCommandTests {
    private static let corpus = Program.root + "/Examples/calibration.txt"

    private func config(_ scratch: Scratch) throws -> String {
        let path = scratch.path("config.json")
        let text = """
            {"model_type": "qwen3", "vocab_size": 4096, "hidden_size": 32, "intermediate_size": 48,
             "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
             "head_dim": 16, "max_position_embeddings": 256, "tie_word_embeddings": true,
             "dtype": "float32"}
            """
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func pretrain(_ scratch: Scratch, _ output: String, _ more: [String] = []) throws
        -> [String]
    {
        [
            "pretrain", "--config", try config(scratch), "--tokenizer", Program.tiny,
            "--corpus", Self.corpus, "--tokens", "12800", "--batch-tokens", "256", "--window", "32",
            "--save-every", "1", "--threads", "1", "--device", "cpu", "--quiet",
            "--output", scratch.path(output),
        ] + more
    }

    private func weights(_ folder: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: folder + "/model.safetensors"))
    }

    private func curve(_ folder: String) throws -> Data {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/heal.json"))
        let report = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
        return try JSONSerialization.data(
            withJSONObject: try #require(report["curve"]), options: .sortedKeys)
    }

    @Test("killed at 20 random steps, a training ends with the same losses and weights")
    func killed() throws {
        try withScratch { scratch in
            let start = Date()
            #expect(try Program.run(pretrain(scratch, "whole")).status == 0)
            let duration = Date().timeIntervalSince(start)
            let (expected, losses) = (
                try weights(scratch.path("whole")), try curve(scratch.path("whole"))
            )
            let output = scratch.path("killed")
            var kills = 0
            while kills < 20 {
                let running = try Program.start(pretrain(scratch, "killed"), in: scratch)
                Thread.sleep(forTimeInterval: Double.random(in: 0..<duration / 2))
                if running.process.isRunning {
                    kill(running.process.processIdentifier, SIGKILL)
                    kills += 1
                }
                let status = try running.finish().status
                #expect(status == 0 || status == SIGKILL)
                guard FileManager.default.fileExists(atPath: output) else { continue }
                #expect(try weights(output) == expected, "the output appears whole")
                #expect(try curve(output) == losses)
                // It came to its end: start over.
                for path in [output, output + ".run"]
                where FileManager.default.fileExists(atPath: path) {
                    try FileManager.default.removeItem(atPath: path)
                }
            }
            let last = try Program.run(pretrain(scratch, "killed"))
            #expect(last.status == 0, "\(last.errors)")
            #expect(try weights(output) == expected)
            #expect(try curve(output) == losses)
            #expect(try scratch.contents() == ["config.json", "killed", "whole"])
        }
    }

    @Test("SIGINT keeps a state and exits with 130; the same command continues")
    func interrupted() throws {
        try withScratch { scratch in
            #expect(try Program.run(pretrain(scratch, "whole")).status == 0)
            // Kept by time alone: only the interruption makes a state.
            let rare = try pretrain(scratch, "out").map { $0 == "1" ? "1000000" : $0 }
            var arguments = rare
            arguments[arguments.firstIndex(of: "--threads").map { $0 + 1 } ?? 0] = "1"
            let running = try Program.start(arguments, in: scratch)
            let run = scratch.path("out.run")
            while !FileManager.default.fileExists(atPath: run + "/journal.json"),
                running.process.isRunning
            { Thread.sleep(forTimeInterval: 0.01) }
            Thread.sleep(forTimeInterval: 0.2)
            running.process.interrupt()
            let result = try running.finish()
            #expect(result.status == 130 || result.status == 0, "\(result.errors)")
            if result.status == 130 {
                #expect(!FileManager.default.fileExists(atPath: scratch.path("out")))
                #expect(try Program.run(arguments).status == 0)
            }
            #expect(try weights(scratch.path("out")) == weights(scratch.path("whole")))
        }
    }

    @Test("a full disk is named, and what was kept before it serves")
    func fullDisk() throws {
        try withScratch { scratch in
            #expect(try Program.run(pretrain(scratch, "whole")).status == 0)
            let line = try pretrain(scratch, "out").map { "'\($0)'" }.joined(separator: " ")
            // No file may be longer than 1 MB, as on a disk that is full; a state takes more.
            let refused = try Program.shell("ulimit -f 1000; $minima \(line)")
            #expect(refused.status == 1)
            #expect(refused.errors.contains("cannot write"), "\(refused.errors)")
            #expect(!FileManager.default.fileExists(atPath: scratch.path("out")))
            let again = try Program.run(pretrain(scratch, "out"))
            #expect(again.status == 0, "\(again.errors)")
            #expect(try weights(scratch.path("out")) == weights(scratch.path("whole")))
        }
    }

    @Test("a dense model is trained as a control, evaluated and drawn")
    func control() throws {
        try withScratch { scratch in
            let made = try Program.run([
                "heal", Program.tiny, "--corpus", Self.corpus, "--kl", "0", "--next-token", "1",
                "--tokens", "1k", "--batch-tokens", "512", "--window", "64", "--json",
                "--evaluation", Program.text, "--output", scratch.path("control"),
            ])
            #expect(made.status == 0, "\(made.errors)")
            let report = try made.json()
            #expect(report["steps"] as? Int == 2)
            #expect((report["evaluations"] as? [Any])?.count == 1)
            let evaluated = try Program.run(
                "evaluate", scratch.path("control"), "--text", Program.text, "--window", "64",
                "--windows", "4", "--json")
            #expect(evaluated.status == 0, "\(evaluated.errors)")
            let page = scratch.path("report.html")
            let drawn = try Program.run(
                "report", "--heal", scratch.path("control") + "/heal.json", "--output", page)
            #expect(drawn.status == 0, "\(drawn.errors)")
            #expect(try String(contentsOfFile: page, encoding: .utf8).contains("next token"))
        }
    }

    @Test("what makes no sense is refused by name")
    func refused() throws {
        try withScratch { scratch in
            let text = ["--corpus", Self.corpus, "--kl", "0"]
            let cases: [(arguments: [String], words: String)] = [
                (["--corpus", Self.corpus], "--teacher"), (text, "nothing to learn"),
                (["--corpus", "/nowhere.txt", "--kl", "0", "--next-token", "1"], "/nowhere.txt"),
                (text + ["--next-token", "1", "--window", "100000"], "4096 positions"),
                (text + ["--tokens", "many"], "many"),
            ]
            for (arguments, words) in cases {
                let refused = try Program.run(
                    ["heal", Program.tiny, "--output", scratch.path("out"), "--quiet"] + arguments)
                #expect(refused.status != 0)
                #expect(refused.errors.contains(words), "\(refused.errors)")
            }
            #expect(try scratch.contents().isEmpty)
        }
    }
}
