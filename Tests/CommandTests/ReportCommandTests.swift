import Foundation
import Testing

/// `minima report` on small artifacts written by hand.
@Suite("Report command")
struct ReportCommandTests {
    static let source = String(repeating: "0a", count: 32)
    static let other = String(repeating: "1b", count: 32)

    private func map(source: String) -> String {
        """
        {"version": 1, "source": "\(source)", "settings": {"seed": 0},
         "matrices": [{"name": "model.layers.0.mlp.up_proj", "rows": 8, "columns": 8,
           "dtype": "BF16", "score": 0.5, "entropy": 1.5, "spectrum": [0.75, 0.25],
           "candidates": [{"format": {"kind": "low-rank", "rank": 2}, "parameters": 32,
             "bytes": 64, "predicted_kl": 0.25}]}]}
        """
    }

    private func plan(source: String) -> String {
        """
        {"version": 1, "source": "\(source)", "settings": {},
         "matrices": [{"name": "model.layers.0.mlp.up_proj", "rows": 8, "columns": 8,
           "patches": [{"region": {"rows": [0, 8], "columns": [0, 8]}, "dtype": "BF16",
             "format": {"kind": "low-rank", "rank": 2}}]}]}
        """
    }

    private func entry(_ method: String, perplexity: String = "11.5") -> String {
        """
        {"version": 1, "source": "\(Self.source)", "model": "toy", "method": "\(method)", "keep": 0.5,
         "settings": {}, "linear_parameters_before": 64, "linear_parameters_after": 32,
         "bytes_before": 200, "bytes_after": 136, "compress_seconds": 0.5,
         "texts": [{"file": "a.txt", "tokens": 9, "dense_perplexity": 10.0,
           "perplexity": \(perplexity), "kl_mean": 0.1, "top1_agreement": 0.9}]}
        """
    }

    private func draft(target: String) -> String {
        let curve = (1...3).map { step in
            """
            {"step": \(step), "tokens": \(64 * step), "loss": \(4 - step), "next_token": 0, "kl": 1,
             "learning_rate": 0.1, "gradient_norm": 1}
            """
        }.joined(separator: ", ")
        return """
            {"version": 1, "target": "\(target)", "source": "\(target)", "output": "made/guesser",
             "settings": {"passes": 2}, "device": "cpu", "parameters": 1234, "draft_vocab_size": 200,
             "coverage": 0.5, "tokens": 192, "seconds": 1.5, "tokens_per_second": 128,
             "after": {"positions": 9, "loss": [1, 2], "overlap": [0.5, 0.25],
               "agreement": [0.5, 0.25]}, "curve": [\(curve)]}
            """
    }

    private let drafted = """
        [{"variant": "dense", "keep": 1, "kv": "f32", "batch": 2, "context": 8, "tokens": 16,
          "draft_length": 2, "drafted": 12, "accepted": 6, "acceptance_length": 2.0,
          "accepted_shares": [0.75, 0.25], "plain_tokens_per_second": 100,
          "speculative_tokens_per_second": 150, "ratio_to_plain": 1.5, "same_texts": 2}]
        """

    private func write(_ text: String, _ path: String) throws -> String {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    private func folder(_ path: String, _ files: [String: String]) throws -> String {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files { _ = try write(text, "\(path)/\(name)") }
        return path
    }

    @Test("a page of a map, a plan and comparisons; the same bytes again")
    func page() throws {
        try withScratch { scratch in
            let sensitivity = try write(map(source: Self.source), scratch.path("s.json"))
            let plan = try write(plan(source: Self.source), scratch.path("p.json"))
            let compared = try folder(
                scratch.path("compared"),
                ["a.json": entry("minima"), "b.json": entry("ablation-x"), "notes.txt": "no"])
            let page = scratch.path("report.html")
            let arguments = [
                "report", "--sensitivity", sensitivity, "--plan", plan, "--compare", compared,
                "--output", page,
            ]
            let result = try Program.run(arguments)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output.contains("Sensitivity map") && result.output.contains(page))
            let bytes = try Data(contentsOf: URL(fileURLWithPath: page))
            let html = String(decoding: bytes, as: UTF8.self)
            for fragment in [
                "<!DOCTYPE html>", "<h1>toy</h1>", Self.source, "+15.0%", "minima 0.1.0",
            ] {
                #expect(html.contains(fragment), "\(fragment)")
            }
            let refused = try Program.run(arguments)
            #expect(refused.status == 1 && refused.errors.contains("--overwrite"))
            let json = try Program.run(arguments + ["--overwrite", "--json"]).json()
            #expect(json["bytes"] as? Int == bytes.count)
            #expect((json["sections"] as? [String])?.count == 5)
            #expect(try Data(contentsOf: URL(fileURLWithPath: page)) == bytes)
        }
    }

    @Test("a draft by its folder or its report, and what it was measured to bring")
    func drafts() throws {
        try withScratch { scratch in
            let sensitivity = try write(map(source: Self.source), scratch.path("s.json"))
            let folder = try folder(
                scratch.path("guesser"), ["draft.json": draft(target: Self.source)])
            let measured = try write(drafted, scratch.path("d.json"))
            let pages = try [folder, folder + "/draft.json"].map { draft in
                let page = scratch.path("report.html")
                let result = try Program.run(
                    "report", "--sensitivity", sensitivity, "--draft", draft, "--draft", draft,
                    "--speculation", measured, "--output", page, "--overwrite")
                #expect(result.status == 0, "\(result.errors)")
                #expect(result.output.contains("Speculation: how far guesses hold"))
                return try String(contentsOfFile: page, encoding: .utf8)
            }
            #expect(pages[0] == pages[1])
            #expect(pages[0].components(separatedBy: "<h3>guesser: 1,234 parameters").count == 3)
            for fragment in ["chains of 2", "1.75 tokens a step", "with the draft, 1.50×: 150"] {
                #expect(pages[0].contains(fragment), "\(fragment)")
            }
        }
    }

    @Test("artifacts that are missing, foreign, of other checkpoints or in the way")
    func failures() throws {
        try withScratch { scratch in
            let sensitivity = try write(map(source: Self.source), scratch.path("s.json"))
            let plan = try write(plan(source: Self.other), scratch.path("p.json"))
            let page = scratch.path("report.html")
            let empty = try folder(scratch.path("empty"), ["notes.txt": "no"])
            let broken = try folder(
                scratch.path("broken"), ["a.json": entry("m", perplexity: "NaN")])
            let absurd = try folder(
                scratch.path("absurd"), ["a.json": entry("m", perplexity: "-1")])
            let foreign = try folder(
                scratch.path("foreign"), ["p.json": self.plan(source: Self.source)])
            let guesser = try self.folder(
                scratch.path("guesser"), ["draft.json": draft(target: Self.other)])
            let measured = try write(drafted, scratch.path("d.json"))
            for (arguments, fragments) in [
                (["--draft", scratch.path("none")], ["none"]),
                (["--draft", empty], ["empty holds no draft.json", "minima draft"]),
                (["--draft", sensitivity], ["s.json", "not a draft report"]),
                (["--draft", measured], ["d.json", "not a draft report"]),
                (
                    ["--sensitivity", sensitivity, "--draft", guesser],
                    ["guesser/draft.json", "s.json", "0a0a0a", "1b1b1b"]
                ),
                (
                    ["--speculation", sensitivity],
                    ["s.json", "minima bench decode --draft --json"]
                ),
                (["--speculation", scratch.path("none.json")], ["none.json"]),
                (
                    ["--draft", guesser, "--output", guesser + "/draft.json", "--overwrite"],
                    ["made from"]
                ),
                (["--sensitivity", scratch.path("none.json")], ["none.json"]),
                (["--sensitivity", plan], ["p.json", "not a sensitivity map"]),
                (["--plan", sensitivity], ["s.json", "not a compression plan"]),
                (["--compression", sensitivity], ["s.json", "not a compression report"]),
                (
                    ["--sensitivity", sensitivity, "--plan", plan],
                    ["p.json", "s.json", "0a0a0a", "1b1b1b"]
                ),
                (["--compare", empty], ["empty", "no *.json"]),
                (["--compare", sensitivity], ["s.json", "not a folder"]),
                (["--compare", foreign], ["p.json", "not a comparison"]),
                (["--compare", broken], ["a.json", "malformed"]),
                (["--compare", absurd], ["a.json", "'perplexity' is -1"]),
                (
                    ["--sensitivity", sensitivity, "--output", sensitivity, "--overwrite"],
                    ["made from"]
                ),
            ] as [([String], [String])] {
                let output = arguments.contains("--output") ? [] : ["--output", page]
                let result = try Program.run(["report"] + arguments + output)
                #expect(result.status == 1, "\(arguments)")
                #expect(result.errors.hasPrefix("minima: "))
                for fragment in fragments {
                    #expect(result.errors.contains(fragment), "\(fragment): \(result.errors)")
                }
                #expect(!FileManager.default.fileExists(atPath: page))
            }
            #expect(
                try String(contentsOfFile: sensitivity, encoding: .utf8) == map(source: Self.source)
            )
        }
    }
}
