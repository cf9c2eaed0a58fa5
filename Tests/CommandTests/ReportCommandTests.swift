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
            for (arguments, fragments) in [
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
