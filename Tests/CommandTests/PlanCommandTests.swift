import Foundation
import Testing

/// `minima plan` on a small map of the shipped model, written by hand.
@Suite("Plan command")
struct PlanCommandTests {
    static let other = String(repeating: "0a", count: 32)

    /// Two matrices of Models/tiny, q_proj `[256, 256]` and up_proj `[768, 256]`, in bfloat16.
    private func map(source: String) -> String {
        func candidate(_ rank: Int, _ rows: Int, _ kl: Double) -> String {
            let parameters = rank * (rows + 256) - rank * rank
            return """
                {"format": {"kind": "pivoted-low-rank", "rank": \(rank)},
                 "parameters": \(parameters), "bytes": \(2 * parameters + 4 * rank),
                 "predicted_kl": \(kl)}
                """
        }
        func matrix(_ name: String, _ rows: Int, _ scale: Double) -> String {
            let candidates = [(32, 0.5), (64, 0.2), (96, 0.1), (128, 0.04), (160, 0.015)]
                .map { candidate($0, rows, scale * $1) }.joined(separator: ",\n")
            return """
                {"name": "model.layers.0.\(name)", "rows": \(rows), "columns": 256,
                 "dtype": "BF16", "score": 0.5, "entropy": 3.25, "spectrum": [0.5, 0.25],
                 "candidates": [\(candidates)]}
                """
        }
        return """
            {"version": 1, "source": "\(source)", "settings": {"made_by": "hand"},
             "matrices": [\(matrix("self_attn.q_proj", 256, 1)), \(matrix("mlp.up_proj", 768, 0.3))]}
            """
    }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    @Test("a share of the parameters: the table, the plan, and the same bytes again")
    func keep() throws {
        try withScratch { scratch in
            let (sensitivity, plan) = (scratch.path("sensitivity.json"), scratch.path("plan.json"))
            try write(map(source: Self.other), to: sensitivity)
            let result = try Program.run("plan", sensitivity, "--keep", "0.6", "--output", plan)
            #expect(result.status == 0, "\(result.errors)")
            print(result.output)
            for fragment in [
                "model.layers.0.mlp.up_proj", "pivoted low rank", "predicted KL", "lower bound",
                "262,144 parameters", plan,
            ] {
                #expect(result.output.contains(fragment), "\(fragment)")
            }
            let bytes = try Data(contentsOf: URL(fileURLWithPath: plan))
            let json = try #require(
                JSONSerialization.jsonObject(with: bytes) as? [String: Any])
            #expect(json["source"] as? String == Self.other)
            let settings = try #require(json["settings"] as? [String: Any])
            #expect(settings["planner"] as? String == "knapsack")
            #expect((settings["budget"] as? [String: Any])?["keep"] as? Double == 0.6)
            #expect((json["matrices"] as? [Any])?.count == 2)

            let refused = try Program.run("plan", sensitivity, "--keep", "0.6", "--output", plan)
            #expect(refused.status == 1 && refused.errors.contains("--overwrite"))
            let report = try Program.run(
                "plan", sensitivity, "--keep", "0.6", "--output", plan, "--overwrite", "--json"
            ).json()
            #expect(try Data(contentsOf: URL(fileURLWithPath: plan)) == bytes)
            let after = try #require(report["linear_parameters_after"] as? Int)
            #expect(after <= 157_286, "60% of 262,144")
            let (kl, bound) = (
                try #require(report["predicted_kl"] as? Double),
                try #require(report["lower_bound"] as? Double)
            )
            #expect(bound <= kl && kl == settings["predicted_kl"] as? Double)
            #expect(report["optimal"] as? Bool == true)
        }
    }

    @Test("budgets for the whole model need the model that was analysed")
    func model() throws {
        try withScratch { scratch in
            let (sensitivity, plan) = (scratch.path("sensitivity.json"), scratch.path("plan.json"))
            let inspected = try Program.run("inspect", Program.tiny, "--json", "--fingerprint")
                .json()
            let total = try #require(inspected["bytes"] as? Int)
            let source = try #require(inspected["fingerprint"] as? String)
            try write(map(source: source), to: sensitivity)
            let budget = total - 262_144
            let report = try Program.run(
                "plan", sensitivity, "--bytes", "\(budget)", "--model", Program.tiny,
                "--output", plan, "--json"
            ).json()
            let (others, after) = (
                try #require(report["other_bytes"] as? Int),
                try #require(report["linear_bytes_after"] as? Int)
            )
            #expect(others == total - 2 * 262_144)
            #expect(others + after <= budget)
            #expect(report["budget"] as? Int == budget - others)

            let memory = try Program.run(
                "plan", sensitivity, "--vram", "2GiB", "--context", "1024", "--concurrency", "4",
                "--model", Program.tiny, "--output", scratch.path("memory.json"))
            #expect(memory.status == 0, "\(memory.errors)")
            #expect(memory.output.contains("keys and values"))
            print(memory.output)

            let small = try Program.run(
                "plan", sensitivity, "--bytes", "1MiB", "--model", Program.tiny, "--output",
                scratch.path("small.json"))
            #expect(small.status == 1 && small.errors.contains("not in linear layers"))

            // The map of another checkpoint.
            try write(map(source: Self.other), to: sensitivity)
            let refused = try Program.run(
                "plan", sensitivity, "--bytes", "\(budget)", "--model", Program.tiny,
                "--output", scratch.path("other.json"))
            #expect(refused.status == 1)
            #expect(
                refused.errors.contains(Self.other) && refused.errors.contains(source)
                    && refused.errors.contains(Program.tiny))
            #expect(
                try scratch.contents() == ["memory.json", "plan.json", "sensitivity.json"])
        }
    }

    @Test("a decode rate: times are measured, predicted, kept to, and refused where none is known")
    func decodeRate() throws {
        try withScratch { scratch in
            let (sensitivity, times) = (
                scratch.path("sensitivity.json"), scratch.path("times.json")
            )
            let inspected = try Program.run("inspect", Program.tiny, "--json", "--fingerprint")
                .json()
            try write(
                map(source: try #require(inspected["fingerprint"] as? String)), to: sensitivity)
            let config = Program.tiny + "/config.json"
            let measured = try Program.run(
                "bench", "kernels", "--config", config, "--output", times, "--seconds", "0.01",
                "--formats", "pivoted-low-rank", "--context", "8,64", "--quiet")
            #expect(measured.status == 0, "\(measured.errors)")
            #expect(measured.output.contains("floor") && measured.output.contains("GB/s"))
            let again = try Program.run("bench", "kernels", "--config", config, "--output", times)
            #expect(again.status == 1 && again.errors.contains("--overwrite"))

            func plan(_ arguments: String...) throws -> Program.Result {
                try Program.run(
                    [
                        "plan", sensitivity, "--keep", "0.6", "--kernel-times", times, "--model",
                        Program.tiny, "--context", "64",
                    ] + arguments)
            }
            let table = try plan("--output", scratch.path("plan.json"))
            #expect(table.status == 0, "\(table.errors)")
            #expect(table.output.contains("predicted µs") && table.output.contains("decode step"))
            let report = try plan(
                "--decode-tps", "0.5", "--json", "--output", scratch.path("slow.json")
            ).json()
            let decode = try #require(report["decode"] as? [String: Any])
            #expect(try #require(decode["tokens_per_second"] as? Double) >= 0.5)

            let tooFast = try plan("--decode-tps", "1e9", "--output", scratch.path("fast.json"))
            #expect(tooFast.status == 1 && tooFast.errors.contains("cannot be reached"))
            let batch = try plan("--concurrency", "8", "--output", scratch.path("eight.json"))
            #expect(batch.status == 1 && batch.errors.contains("--batch"))
            #expect(
                try scratch.contents() == [
                    "plan.json", "sensitivity.json", "slow.json", "times.json",
                ])
        }
    }

    @Test("maps that are missing, foreign or in the way, and budgets that are too small")
    func failures() throws {
        try withScratch { scratch in
            let (sensitivity, plan) = (scratch.path("sensitivity.json"), scratch.path("plan.json"))
            try write(map(source: Self.other), to: sensitivity)
            try write("{\"version\": 7}", to: scratch.path("new.json"))
            try write(String(map(source: Self.other).dropLast(9)), to: scratch.path("cut.json"))
            for (arguments, fragment) in [
                ([scratch.path("none.json")], "none.json"),
                ([Program.tiny + "/config.json"], "not a sensitivity map"),
                ([scratch.path("new.json")], "version 7"),
                ([scratch.path("cut.json")], "malformed"),
                ([sensitivity, "--keep", "0.0001"], "smallest candidates"),
                ([sensitivity, "--output", sensitivity, "--overwrite"], "sensitivity map"),
                ([sensitivity, "--model", scratch.path("nothing")], "nothing"),
            ] {
                let defaults =
                    (arguments.contains("--keep") ? [] : ["--keep", "0.6"])
                    + (arguments.contains("--output") ? [] : ["--output", plan])
                let result = try Program.run(["plan"] + arguments + defaults)
                #expect(result.status == 1, "\(arguments)")
                #expect(result.errors.hasPrefix("minima: "))
                #expect(result.errors.contains(fragment), "\(result.errors)")
                #expect(!FileManager.default.fileExists(atPath: plan))
            }
        }
    }

    @Test(
        "wrong usage ends with status 2",
        arguments: [
            [], ["--keep", "0"], ["--keep", "1.5"], ["--keep", "half"],
            ["--bytes", "1GiB"], ["--bytes", "1.2Gi", "--model", "m"],
            ["--bytes", "1GiB", "--keep", "0.5", "--model", "m"],
            ["--vram", "1GiB", "--model", "m"], ["--vram", "1GiB", "--context", "8"],
            ["--vram", "1GiB", "--context", "0", "--model", "m"],
            ["--vram", "1GiB", "--context", "8", "--concurrency", "0", "--model", "m"],
            ["--keep", "0.5", "--decode-tps", "9"], ["--keep", "0.5", "--kernel-times", "t.json"],
            ["--keep", "0.5", "--context", "8"], ["--keep", "0.5", "--rank-multiple", "0"],
        ])
    func wrongUsage(arguments: [String]) throws {
        let result = try Program.run(["plan", "s.json", "--output", "p.json"] + arguments)
        #expect(result.status == 2, "\(result.errors)")
        #expect(result.errors.contains("Usage:") || result.errors.contains("--help"))
    }
}
