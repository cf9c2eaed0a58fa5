import Foundation
import Testing

@Suite("minima draft", .serialized)
struct DraftCommandTests {
    private static let corpus = Program.root + "/Examples/calibration.txt"

    /// A model of three narrow layers with the shipped one's tokenizer.
    private func model(_ scratch: Scratch) throws -> String {
        let config = """
            {"model_type": "qwen3", "vocab_size": 4096, "hidden_size": 32, "intermediate_size": 48,
             "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
             "head_dim": 16, "max_position_embeddings": 256, "tie_word_embeddings": true,
             "dtype": "float32"}
            """
        try Data(config.utf8).write(to: URL(fileURLWithPath: scratch.path("config.json")))
        let made = try Program.run([
            "pretrain", "--config", scratch.path("config.json"), "--tokenizer", Program.tiny,
            "--corpus", Self.corpus, "--tokens", "4k", "--batch-tokens", "256", "--window", "32",
            "--device", "cpu", "--quiet", "--output", scratch.path("model"),
        ])
        #expect(made.status == 0, "\(made.errors)")
        try FileManager.default.removeItem(atPath: scratch.path("config.json"))
        return scratch.path("model")
    }

    private func draft(_ model: String, _ output: String, _ more: [String] = []) -> [String] {
        [
            "draft", model, "--corpus", Self.corpus, "--tokens", "3k", "--batch-tokens", "96",
            "--window", "24", "--passes", "3", "--vocabulary", "200", "--save-every", "1",
            "--threads", "1", "--device", "cpu", "--quiet", "--output", output,
        ] + more
    }

    private func weights(_ folder: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: folder + "/model.safetensors"))
    }

    private func report(_ folder: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/draft.json"))
        return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test("learns, writes a whole folder, guesses without changing the text, and is drawn")
    func trained() throws {
        try withScratch { scratch in
            let model = try model(scratch)
            let output = scratch.path("guesser")
            let made = try Program.run(
                draft(model, output, ["--evaluation", Program.text, "--json"]))
            #expect(made.status == 0, "\(made.errors)")
            #expect(try scratch.contents() == ["guesser", "model"])
            let files = try FileManager.default.contentsOfDirectory(atPath: output)
            for file in ["config.json", "draft.json", "model.safetensors", "tokenizer.json"] {
                #expect(files.contains(file), "\(files)")
            }
            let told = try made.json()
            #expect(try NSDictionary(dictionary: told).isEqual(to: report(output)))
            func number(_ key: String) throws -> Double { try #require(told[key] as? Double) }
            #expect(try number("tokens") == 3_072 && number("draft_vocab_size") == 200)
            #expect(told["source"] as? String == told["target"] as? String, "a dense model")
            func losses(_ key: String) throws -> [Double] {
                let measured = try #require(told[key] as? [String: Any])
                #expect((measured["agreement"] as? [Double])?.count == 3)
                return try #require(measured["loss"] as? [Double])
            }
            let (before, after) = (try losses("before"), try losses("after"))
            #expect(zip(before, after).allSatisfy { $1 < $0 }, "\(before) \(after)")

            let prompt = ["generate", model, "In the year", "--max-tokens", "24", "--ignore-end"]
            let plain = try Program.run(prompt + ["--device", "cpu"])
            let guessed = try Program.run(
                prompt + ["--device", "cpu", "--draft", output, "--draft-length", "2"])
            #expect(plain.status == 0 && !plain.output.isEmpty, "\(plain.errors)")
            #expect(guessed.status == 0, "\(guessed.errors)")
            #expect(guessed.output == plain.output)
            let foreign = try Program.run(
                "generate", Program.tiny, "In the year", "--device", "cpu", "--draft", output)
            #expect(foreign.status == 1)
            #expect(foreign.errors.contains("features of 32 values"), "\(foreign.errors)")

            let page = scratch.path("report.html")
            let drawn = try Program.run("report", "--draft", output, "--output", page)
            #expect(drawn.status == 0, "\(drawn.errors)")
            let html = try String(contentsOfFile: page, encoding: .utf8)
            #expect(html.contains("<h1>checkpoint") && html.contains("<h3>guesser: "))
            #expect(html.contains("chains of 3"))
        }
    }

    @Test("a draft of a compressed model names the dense one, and is drawn beside its artifacts")
    func compressed() throws {
        try withScratch { scratch in
            let model = try model(scratch)
            let (half, output) = (scratch.path("half"), scratch.path("guesser"))
            let compressed = try Program.run(
                "compress", model, "--format", "low-rank", "--keep", "0.6", "--unweighted",
                "--output", half, "--json")
            #expect(compressed.status == 0, "\(compressed.errors)")
            let compression = scratch.path("compression.json")
            try Data(compressed.output.utf8).write(to: URL(fileURLWithPath: compression))
            let made = try Program.run(draft(half, output, ["--tokens", "200"]))
            #expect(made.status == 0, "\(made.errors)")
            let report = try report(output)
            let source = try compressed.json()["fingerprint"] as? String
            #expect(report["source"] as? String == source)
            #expect(report["target"] as? String != source)
            let page = scratch.path("report.html")
            let arguments = ["report", "--draft", output, "--output", page, "--overwrite"]
            let drawn = try Program.run(arguments + ["--compression", compression])
            #expect(drawn.status == 0, "\(drawn.errors)")
            let html = try String(contentsOfFile: page, encoding: .utf8)
            #expect(html.contains("a model compressed from the dense one, "))
            #expect(html.contains("not measured"))
            let other = compressed.output.replacing(
                try #require(source), with: String(repeating: "1b", count: 32))
            try Data(other.utf8).write(to: URL(fileURLWithPath: compression))
            let refused = try Program.run(arguments + ["--compression", compression])
            #expect(refused.status == 1)
            #expect(refused.errors.contains("one report shows one checkpoint"))
        }
    }

    @Test("killed and interrupted again and again, it ends with the same losses and weights")
    func killed() throws {
        try withScratch { scratch in
            let model = try model(scratch)
            let start = Date()
            let made = try Program.run(draft(model, scratch.path("whole")))
            #expect(made.status == 0, "\(made.errors)")
            let duration = Date().timeIntervalSince(start)
            let whole = try (weights(scratch.path("whole")), report(scratch.path("whole")))
            let output = scratch.path("killed")
            for kills in 0..<8 {
                let running = try Program.start(draft(model, output), in: scratch)
                Thread.sleep(forTimeInterval: Double.random(in: 0.3..<0.9) * duration)
                if running.process.isRunning {
                    if kills % 2 == 0 {
                        kill(running.process.processIdentifier, SIGKILL)
                    } else {
                        running.process.interrupt()
                    }
                }
                let status = try running.finish().status
                #expect([0, SIGKILL, 130, SIGINT].contains(status))
                guard FileManager.default.fileExists(atPath: output) else { continue }
                #expect(try weights(output) == whole.0, "the output appears whole")
                // It came to its end: start over.
                for path in [output, output + ".run"]
                where FileManager.default.fileExists(atPath: path) {
                    try FileManager.default.removeItem(atPath: path)
                }
            }
            let last = try Program.run(draft(model, output))
            #expect(last.status == 0, "\(last.errors)")
            #expect(try weights(output) == whole.0)
            let curves = try [whole.1, report(output)].map { report in
                try #require(report["curve"] as? [[String: Double]])
            }
            #expect(curves[0].count == 32 && curves[0] == curves[1])
            #expect(try scratch.contents() == ["killed", "model", "whole"])
        }
    }

    @Test("another training is not taken for the unfinished one")
    func unfinished() throws {
        try withScratch { scratch in
            let output = scratch.path("out")
            let long = draft(Program.tiny, output, ["--tokens", "10M", "--passes", "4"])
            let running = try Program.start(long, in: scratch)
            while !FileManager.default.fileExists(atPath: output + ".run/journal.json"),
                running.process.isRunning
            { Thread.sleep(forTimeInterval: 0.01) }
            running.process.interrupt()
            #expect(try running.finish().status == 130)
            #expect(try scratch.contents() == ["out.run"])
            let other = try Program.run(draft(Program.tiny, output, ["--tokens", "10M"]))
            #expect(other.status == 1)
            #expect(other.errors.contains("unfinished run with another passes"), "\(other.errors)")
        }
    }

    @Test("what makes no sense is refused by name, and leaves nothing behind")
    func refused() throws {
        try withScratch { scratch in
            let short = scratch.path("short.txt")
            try Data("A few words.".utf8).write(to: URL(fileURLWithPath: short))
            let output = scratch.path("out")
            let taken = scratch.path("taken")
            try FileManager.default.createDirectory(
                atPath: taken, withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: URL(fileURLWithPath: taken + "/notes.txt"))
            let cases: [(arguments: [String], status: Int32, words: String)] = [
                (["--window", "100000"], 1, "4096 positions"),
                (["--window", "5", "--passes", "4"], 1, "not between 6, for 4 passes"),
                (["--corpus", "/nowhere.txt"], 1, "/nowhere.txt"),
                (["--corpus", short], 1, "too short for one window"),
                (["--evaluation", "/nowhere.txt"], 1, "/nowhere.txt"),
                (["--evaluation", short], 1, "short.txt"),
                (["--vocabulary", "4097"], 1, "a vocabulary of 4096"),
                (["--output", taken], 1, "--overwrite"),
                (["--tokens", "many"], 2, "many"), (["--loss", "both"], 2, "both"),
                (["--passes", "17"], 2, "--passes must be from 1 to 16"),
                (["--vocabulary", "0"], 2, "--vocabulary must be"),
                (["--learning-rate", "0"], 2, "--learning-rate"),
            ]
            for (arguments, status, words) in cases {
                let base = ["draft", Program.tiny, "--quiet", "--device", "cpu"]
                let corpus = arguments.contains("--corpus") ? [] : ["--corpus", Self.corpus]
                let place = arguments.contains("--output") ? [] : ["--output", output]
                let refused = try Program.run(base + corpus + place + arguments)
                #expect(refused.status == status, "\(arguments): \(refused.errors)")
                #expect(refused.errors.contains(words), "\(refused.errors)")
                #expect(try scratch.contents() == ["short.txt", "taken"], "\(arguments)")
            }
            let nothing = try Program.run([
                "draft", scratch.path("no-model"), "--output", output, "--corpus", Self.corpus,
            ])
            #expect(nothing.status == 1 && nothing.errors.contains("no-model"))
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: taken) == ["notes.txt"])
        }
    }
}
