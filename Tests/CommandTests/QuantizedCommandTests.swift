import Foundation
import Testing

@Suite("Values of one byte")
struct QuantizedCommandTests {
    private let text = [
        "--calibration", Program.root + "/Examples/calibration.txt", "--windows", "4",
    ]

    private func perplexity(_ model: String) throws -> Double {
        let evaluation = try Program.run(
            "evaluate", model, "--text", Program.text, "--window", "256", "--windows", "4",
            "--json"
        ).json()
        return try #require(evaluation["perplexity"] as? Double)
    }

    @Test(
        "a cache of one byte a value changes the perplexity by little; windows decoded are windows computed at once"
    )
    func cache() throws {
        func perplexity(_ options: String...) throws -> Double {
            let evaluation = try Program.run(
                ["evaluate", Program.tiny, "--text", Program.text, "--json"] + options
                    + ["--window", "64", "--windows", "4", "--device", "cpu"]
            ).json()
            #expect(evaluation["tokens"] as? Int == 256)
            return try #require(evaluation["perplexity"] as? Double)
        }
        let (whole, wide, narrow) = (
            try perplexity(), try perplexity("--kv", "bf16"), try perplexity("--kv", "fp8")
        )
        #expect(abs(wide / whole - 1) < 2e-3)
        #expect(narrow != wide && abs(narrow / wide - 1) < 0.02)
        let refused = try Program.run(
            "evaluate", Program.tiny, "--text", Program.text, "--kv", "fp8", "--stride", "32",
            "--window", "64")
        #expect(refused.status != 0 && refused.errors.contains("--kv decodes"))
    }

    @Test("a quantised model is half the size, nearly as good, and does what models do")
    func pipeline() throws {
        try withScratch { scratch in
            let compress = [
                "compress", Program.tiny, "--format", "low-rank", "--keep", "0.6", "--anchor", "0",
                "--one-sided", "--json",
            ]
            let wide = scratch.path("wide")
            let report = try Program.run(compress + text + ["--output", wide]).json()
            let before = try perplexity(wide)
            let parameters = try #require(report["linear_parameters_after"] as? Int)
            let bytes = try #require(report["bytes_after"] as? Int)
            for (weights, limit) in [("int8", 1.01), ("fp8", 1.03)] {
                let output = scratch.path(weights)
                let quantized = try Program.run(
                    compress + text + ["--weights", weights, "--output", output]
                ).json()
                #expect(quantized["linear_parameters_after"] as? Int == parameters)
                let after = try #require(quantized["bytes_after"] as? Int)
                // One byte of two, and a scale of four for each row of a factor.
                #expect(after > bytes - parameters && after < bytes - parameters * 95 / 100)
                #expect(try perplexity(output) < limit * before)

                let inspected = try Program.run("inspect", output, "--json").json()
                #expect(inspected["linearParameters"] as? Int == parameters)
                #expect(inspected["bytes"] as? Int == after)
                let made = try Program.run(
                    "generate", output, "The old man", "--max-tokens", "8", "--json"
                ).json()
                #expect((made["tokens"] as? [Int])?.count == 8)

                let dense = scratch.path("\(weights)-dense")
                #expect(try Program.run("export", output, "--dense", "--output", dense).status == 0)
                let distance = try Program.run(
                    "evaluate", dense, "--reference", output, "--text", Program.text, "--window",
                    "256", "--windows", "2", "--json"
                ).json()
                #expect(try #require(distance["kl_mean"] as? Double) < 2e-3)

                let healed = try Program.run(
                    "heal", output, "--teacher", Program.tiny, "--corpus", Program.text,
                    "--output", scratch.path("healed"))
                #expect(healed.status == 1)
                #expect(healed.errors.contains("heal the model before it is quantised"))
            }
        }
    }

    @Test("dense leftovers and patches are quantised too, and a refined block after it is refined")
    func leftovers() throws {
        try withScratch { scratch in
            let (map, plan) = (scratch.path("map.json"), scratch.path("plan.json"))
            let analyzed = try Program.run(
                ["analyze", Program.tiny, "--window", "256", "--probes", "0", "--output", map]
                    + ["--candidates", "pivoted-low-rank"] + text)
            #expect(analyzed.status == 0, "\(analyzed.errors)")
            let planned = try Program.run(
                "plan", map, "--keep", "0.9", "--weights", "int8", "--output", plan)
            #expect(planned.status == 0, "\(planned.errors)")
            let output = scratch.path("quantized")
            let compressed = try Program.run(
                ["compress", Program.tiny, "--plan", plan, "--output", output, "--refine"]
                    + ["--refine-steps", "2", "--window", "128"] + text)
            #expect(compressed.status == 0, "\(compressed.errors)")
            let inspected = try Program.run("inspect", output, "--json").json()
            let matrices = try #require(inspected["matrices"] as? [[String: Any]])
            #expect(matrices.count == 42)
            for matrix in matrices {
                let (values, bytes) = (matrix["parameters"] as? Int, matrix["bytes"] as? Int)
                #expect(try #require(bytes) < 2 * (try #require(values)) * 6 / 10)
            }
        }
    }

    @Test("what is compressed or dense is quantised as it is, and only once")
    func quantize() throws {
        try withScratch { scratch in
            let compressed = scratch.path("compressed")
            let made = try Program.run(
                ["compress", Program.tiny, "--format", "mixture", "--keep", "0.6", "--unweighted"]
                    + ["--output", compressed])
            #expect(made.status == 0, "\(made.errors)")
            for model in [compressed, Program.tiny] {
                let output = scratch.path("quantized")
                let report = try Program.run(
                    ["quantize", model, "--weights", "int8", "--output", output, "--overwrite"]
                        + ["--json"] + text
                ).json()
                let parameters = try #require(report["linear_parameters_after"] as? Int)
                let before = try #require(report["bytes_before"] as? Int)
                let after = try #require(report["bytes_after"] as? Int)
                #expect(after > before - parameters && after < before - parameters * 9 / 10)
                let nearest = scratch.path("nearest")
                let rounded = try Program.run(
                    "quantize", model, "--weights", "int8", "--rounding", "nearest", "--output",
                    nearest, "--overwrite")
                #expect(rounded.status == 0, "\(rounded.errors)")
                var divergences: [Double] = []
                for quantized in [output, nearest] {
                    let distance = try Program.run(
                        "evaluate", quantized, "--reference", model, "--text", Program.text,
                        "--window", "256", "--windows", "4", "--json"
                    ).json()
                    divergences.append(try #require(distance["kl_mean"] as? Double))
                }
                #expect(divergences[0] < divergences[1] && divergences[1] < 0.03, "\(divergences)")
                let again = try Program.run(
                    "quantize", output, "--weights", "fp8", "--rounding", "nearest", "--output",
                    scratch.path("again"))
                #expect(again.status == 1)
                #expect(again.errors.contains("is quantised already"), "\(again.errors)")
            }
        }
    }

    @Test("what cannot be meant is refused")
    func refused() throws {
        try withScratch { scratch in
            let output = scratch.path("o")
            for (arguments, fragment) in [
                (["--weights", "int4"], "int4"), (["--rounding", "up"], "up"),
            ] {
                let result = try Program.run(
                    ["compress", Program.tiny, "--output", output] + arguments)
                #expect(result.status != 0)
                #expect(result.errors.contains(fragment), "\(result.errors)")
            }
            let bench = try Program.run("bench", "decode", Program.tiny, "--weights", "int8")
            #expect(bench.errors.contains("--weights are for --dummy weights"), "\(bench.errors)")
        }
    }
}
