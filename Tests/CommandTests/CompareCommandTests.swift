import Foundation
import Testing

/// `minima compare` on the shipped model, with a calibration text of two short windows.
@Suite("Compare command")
struct CompareCommandTests {
    private func arguments(_ output: String, _ more: [String] = []) -> [String] {
        [
            "compare", Program.tiny, "--methods", "svd,svd-llm", "--keep", "0.6", "--calibration",
            Program.text, "--windows", "2", "--window", "64", "--text", Program.text,
            "--text-windows", "2", "--text-window", "128", "--output", output, "--device", "cpu",
        ] + more
    }

    private func modified(_ path: String) throws -> Date? {
        try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
    }

    @Test("two methods: entries, table, verdicts; what is there is not measured again")
    func resuming() throws {
        try withScratch { scratch in
            let output = scratch.path("comparison")
            let first = try Program.run(arguments(output))
            #expect(first.status == 0, "\(first.errors)")
            for fragment in ["evaluation.txt", "svd-llm", "at 0.6", "top-1", "stored:", " *"] {
                #expect(first.output.contains(fragment), "\(fragment) in \(first.output)")
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: output).sorted()
            #expect(names == ["svd-0.6.json", "svd-llm-0.6.json"])

            let (kept, lost) = ("\(output)/svd-0.6.json", "\(output)/svd-llm-0.6.json")
            let before = try modified(kept)
            try FileManager.default.removeItem(atPath: lost)
            let second = try Program.run(arguments(output, ["--json"])).json()
            let entries = try #require(second["entries"] as? [[String: Any]])
            #expect(entries.compactMap { $0["method"] as? String } == ["svd", "svd-llm"])
            #expect(try modified(kept) == before)
            #expect(FileManager.default.fileExists(atPath: lost))
            for entry in entries {
                #expect(entry["linear_parameters_before"] as? Int == 4_718_592)
                let after = try #require(entry["linear_parameters_after"] as? Int)
                #expect(after <= 2_831_155 && after > 2_700_000)
                let texts = try #require(entry["texts"] as? [[String: Any]])
                #expect(texts.count == 1 && texts[0]["tokens"] as? Int == 256)
                let (dense, rise) = (
                    try #require(texts[0]["dense_perplexity"] as? Double),
                    try #require(texts[0]["perplexity"] as? Double)
                )
                #expect(rise > dense && dense > 1)
            }
        }
    }

    @Test("a folder measured in another way is refused before any work; other methods join it")
    func foreign() throws {
        try withScratch { scratch in
            let output = scratch.path("comparison")
            #expect(try Program.run(arguments(output)).status == 0)
            for (change, named) in [
                (["--text-window", "64"], "evaluation: window"),
                (["--window", "32"], "calibration"),
            ] {
                var other = arguments(output)
                let place = try #require(other.firstIndex(of: change[0]))
                other[place + 1] = change[1]
                let result = try Program.run(other)
                #expect(result.status == 1)
                #expect(result.errors.contains("svd-0.6.json"), "\(result.errors)")
                #expect(result.errors.contains(named), "\(result.errors)")
            }
            var more = arguments(output, ["--json"])
            more[3] = "oracle,asvd"
            let joined = try Program.run(more).json()
            #expect((joined["entries"] as? [Any])?.count == 3)
            let skipped = try #require(joined["skipped"] as? [[String: Any]])
            #expect(skipped.count == 1 && skipped[0]["method"] as? String == "oracle")
        }
    }

    @Test("a plan's fit is what compress does, unless an option says otherwise")
    func planFit() throws {
        try withScratch { scratch in
            let (map, plan) = (scratch.path("map.json"), scratch.path("plan.json"))
            let text = ["--calibration", Program.text, "--windows", "2", "--window", "64"]
            #expect(
                try Program.run(
                    ["analyze", Program.tiny, "--candidates", "pivoted-low-rank", "--output", map]
                        + text
                ).status == 0)
            #expect(
                try Program.run("plan", map, "--keep", "0.6", "--output", plan).status == 0)
            let written = try String(contentsOfFile: plan, encoding: .utf8)
            #expect(written.contains(#""anchor" : 0.75"#))
            func fit(_ name: String, _ more: [String] = []) throws -> [String: Any] {
                let output = scratch.path(name)
                let result = try Program.run(
                    ["compress", Program.tiny, "--plan", plan, "--output", output] + text + more)
                #expect(result.status == 0, "\(result.errors)")
                let manifest = try JSONSerialization.jsonObject(
                    with: Data(contentsOf: URL(fileURLWithPath: "\(output)/minima.json")))
                let planned = (manifest as? [String: Any])?["plan"] as? [String: Any]
                return try #require(planned?["fit"] as? [String: Any])
            }
            let given = written.replacing(#""two_sided" : true"#, with: #""two_sided" : false"#)
            try given.write(toFile: plan, atomically: false, encoding: .utf8)
            let followed = try fit("followed")
            #expect(followed["two_sided"] as? Bool == false)
            #expect(followed["anchor"] as? Double == 0.75)
            let overridden = try fit("overridden", ["--anchor", "0", "--two-sided"])
            #expect(overridden["two_sided"] as? Bool == true)
            #expect(overridden["anchor"] == nil)
        }
    }

    @Test(
        "wrong usage ends with status 2",
        arguments: [
            ["--keep", "0.5,1.5"], ["--keep", "0.5,,0.6"], ["--keep", "0.5,0.5"],
            ["--methods", "svd,nothing"], ["--text-windows", "0"], ["--text-window", "0"],
        ])
    func wrongUsage(arguments: [String]) throws {
        let result = try Program.run(
            ["compare", "m", "--text", "t", "--output", "o"] + arguments)
        #expect(result.status == 2, "\(result.errors)")
    }
}
