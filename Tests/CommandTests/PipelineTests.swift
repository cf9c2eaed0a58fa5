import Foundation
import Testing

@Suite("Pipeline")
struct PipelineTests {
    @Test("inspect shows the shipped model")
    func inspect() throws {
        let json = try Program.run("inspect", Program.tiny, "--json", "--fingerprint").json()
        #expect(json["architecture"] as? String == "qwen3")
        #expect(json["parameters"] as? Int == 5_771_264)
        #expect(json["linearParameters"] as? Int == 4_718_592)
        #expect((json["fingerprint"] as? String)?.count == 64)
    }

    @Test(
        "compress, evaluate, export and generate agree with one another",
        arguments: [
            "low-rank", "pivoted-low-rank", "tucker", "tensor-train", "tensor-ring", "block-term",
            "pivoted-tucker", "pivoted-tensor-train", "pivoted-tensor-ring", "pivoted-block-term",
            "mixture",
        ])
    func pipeline(format: String) throws {
        try withScratch { scratch in
            let (compressed, dense) = (scratch.path("compressed"), scratch.path("dense"))
            let report = try Program.run(
                "compress", Program.tiny, "--format", format, "--keep", "0.6", "--unweighted",
                "--output", compressed, "--json"
            ).json()
            let after = try #require(report["linear_parameters_after"] as? Int)
            #expect(after <= 2_831_155, "60% of 4,718,592")
            #expect(after > 2_548_000, "most of the budget is used")

            let evaluation = try Program.run(
                "evaluate", compressed, "--reference", Program.tiny, "--text", Program.text,
                "--window", "256", "--windows", "2", "--json"
            ).json()
            #expect(evaluation["linear_parameters"] as? Int == after)
            #expect(evaluation["tokens"] as? Int == 512)
            #expect(evaluation["bytes"] as? Int == report["bytes_after"] as? Int)
            for key in [
                "perplexity", "kl_mean", "top1_agreement", "parameters", "tokens_per_second",
                "peak_memory_bytes",
            ] {
                #expect(evaluation[key] is NSNumber, "\(key) is a number")
            }

            #expect(try Program.run("export", compressed, "--dense", "--output", dense).status == 0)
            let distance = try Program.run(
                "evaluate", dense, "--reference", compressed, "--text", Program.text, "--window",
                "256", "--windows", "2", "--json"
            ).json()
            // The multiplied-out weights are rounded to bfloat16 once more.
            #expect(try #require(distance["kl_mean"] as? Double) < 2e-3)
            #expect(distance["linear_parameters"] as? Int == 4_718_592)

            let text = try Program.run(
                "generate", compressed, "The old man", "--max-tokens", "8", "--json"
            ).json()
            #expect((text["tokens"] as? [Int])?.count == 8)
        }
    }

    @Test(
        "analyze, plan and compress make what compress makes of itself, and better than one format")
    func planned() throws {
        try withScratch { scratch in
            // Two of six blocks: everything is fitted three times.
            let tiny = try scratch.beginningOfTiny(blocks: 2)
            let text = [
                "--calibration", Program.root + "/Examples/calibration.txt", "--windows", "4",
            ]
            let (map, plan) = (scratch.path("map.json"), scratch.path("plan.json"))
            let analyzed = try Program.run(
                [
                    "analyze", tiny, "--window", "256", "--probes", "0", "--output", map,
                    "--json",
                ] + text)
            #expect(analyzed.status == 0, "\(analyzed.errors)")
            #expect((try analyzed.json()["matrices"] as? [Any])?.count == 14)
            #expect(try Program.run("plan", map, "--keep", "0.6", "--output", plan).status == 0)

            func compress(_ output: String, _ arguments: [String]) throws -> Double {
                let folder = scratch.path(output)
                let result = try Program.run(
                    ["compress", tiny, "--window", "256", "--output", folder, "--json"]
                        + arguments + text)
                let report = try result.json()
                let after = try #require(report["linear_parameters_after"] as? Int)
                #expect(after <= 943_718, "60% of 1,572,864")
                #expect(after > 933_000, "most of the budget is used")
                let evaluation = try Program.run(
                    "evaluate", folder, "--reference", tiny, "--text", Program.text,
                    "--window", "256", "--windows", "8", "--json"
                ).json()
                #expect(evaluation["linear_parameters"] as? Int == after)
                return try #require(evaluation["kl_mean"] as? Double)
            }
            let planned = try compress("planned", ["--plan", plan])
            let direct = try compress("direct", ["--keep", "0.6"])
            #expect(planned == direct)
            let weights = ["planned", "direct"].map {
                FileManager.default.contents(atPath: scratch.path($0) + "/model.safetensors")
            }
            #expect(weights[0] == weights[1])
            let uniform = try compress(
                "uniform", ["--format", "pivoted-low-rank", "--keep", "0.6"])
            #expect(planned < uniform)
        }
    }

    @Test("generation streams the text that --json reports")
    func generation() throws {
        let arguments = [
            "generate", Program.tiny, "The river", "--max-tokens", "12", "--temperature", "0.9",
            "--seed", "3",
        ]
        let streamed = try Program.run(arguments)
        let whole = try Program.run(arguments + ["--json"]).json()
        let text = try #require(whole["text"] as? String)
        #expect(streamed.output == text + "\n")
    }

    @Test("an existing output is kept unless --overwrite is given")
    func overwrite() throws {
        try withScratch { scratch in
            let output = scratch.path("out")
            let arguments = [
                "compress", Program.tiny, "--format", "low-rank", "--keep", "0.3", "--unweighted",
                "--output", output,
            ]
            #expect(try Program.run(arguments).status == 0)
            let first = try Data(contentsOf: URL(fileURLWithPath: output + "/minima.json"))
            let refused = try Program.run(arguments)
            #expect(refused.status == 1)
            #expect(refused.errors.contains("--overwrite"))
            #expect(try Data(contentsOf: URL(fileURLWithPath: output + "/minima.json")) == first)
            #expect(try Program.run(arguments + ["--overwrite"]).status == 0)
            #expect(try scratch.contents() == ["out"])
        }
    }
}
