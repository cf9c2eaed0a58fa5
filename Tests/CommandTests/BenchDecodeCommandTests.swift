import Foundation
import Testing

@Suite("minima bench decode, prefill and serve")
struct BenchDecodeCommandTests {
    private static let config = Program.tiny + "/config.json"

    private func objects(_ text: String) throws -> [[String: Any]] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
    }

    @Test("one object per case, whose numbers agree with one another")
    func cases() throws {
        let result = try Program.run(
            "bench", "decode", Program.tiny, "--batch", "1,2", "--context", "16,100", "--seconds",
            "0.05", "--device", "cpu", "--json", "--quiet")
        #expect(result.status == 0, "\(result.errors)")
        let cases = try objects(result.output)
        #expect(cases.count == 4)
        for it in cases {
            func number(_ key: String) throws -> Double { try #require(it[key] as? Double) }
            let (step, floor) = (try number("step_ms"), try number("floor_ms"))
            #expect(step > 0 && floor > 0)
            #expect(abs(try number("ratio_to_floor") - floor / step) < 1e-9)
            let (batch, each) = (
                try number("batch"), try number("tokens_per_second_per_request")
            )
            #expect(abs(each * step - 1000) < 1e-6)
            #expect(abs(try number("tokens_per_second") - batch * each) < 1e-6)
            let bytes = try number("bytes_touched")
            // Linear layers and head, and both caches of six layers of two heads of 64.
            let cache = 2 * batch * (try number("context") + 1) * 6 * 128 * 4
            #expect(bytes == Double((4_718_592 + 4_096 * 256) * 4) + cache)
            let bandwidth = try number("measured_bandwidth_tb_s")
            #expect(abs(floor - 1e3 * bytes / bandwidth / 1e12) < 1e-9)
            #expect(try number("peak_memory_bytes") > bytes)
            #expect(it["variant"] as? String == "dense" && it["kv"] as? String == "f32")
            #expect(try number("keep") == 1)
        }
    }

    @Test("random weights of any shape, as a table")
    func dummy() throws {
        let result = try Program.run(
            "bench", "decode", "--config", Self.config, "--dummy", "--context", "8", "--seconds",
            "0.05", "--device", "cpu", "--csv", "--quiet")
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n").map { $0.split(separator: ",") }
        #expect(lines.count == 2 && lines[0].count == lines[1].count)
        #expect(lines[0].prefix(6) == ["variant", "keep", "kv", "batch", "context", "step_ms"])
        #expect(lines[1].prefix(5) == ["dense", "1.0000", "f32", "1", "8"])
    }

    @Test("a dummy draft's columns stand beside a plain step's")
    func speculative() throws {
        let result = try Program.run(
            "bench", "decode", "--config", Self.config, "--dummy", "--context", "8", "--seconds",
            "0.05", "--device", "cpu", "--draft-length", "2", "--acceptance", "0.5,0.9", "--csv",
            "--quiet")
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n").map { $0.split(separator: ",") }
        #expect(lines.count == 3 && lines.allSatisfy { $0.count == lines[0].count })
        #expect(
            lines[0].suffix(9) == [
                "draft_length", "acceptance", "plain_ms", "draft_ms", "verify_ms",
                "speculative_ms", "acceptance_length", "speculative_tokens_per_second",
                "ratio_to_plain",
            ])
        #expect(
            lines.dropFirst().map { $0.suffix(9).prefix(2) } == [["2", "0.50"], ["2", "0.90"]])
    }

    @Test("a trained draft is measured along text that is the same with it and without")
    func drafted() throws {
        let result = try withScratch { scratch in
            let text = (0..<60).map { "In the year \(1_800 + $0) a man came to the town." }
            try text.joined(separator: " ")
                .write(toFile: scratch.path("held.txt"), atomically: true, encoding: .utf8)
            return try Program.run(
                "bench", "decode", Program.tiny, "--draft", Program.tiny + "-draft", "--prompts",
                scratch.path("held.txt"), "--batch", "1,3", "--context", "40", "--tokens", "24",
                "--draft-length", "3", "--device", "cpu", "--json", "--quiet")
        }
        #expect(result.status == 0, "\(result.errors)")
        let cases = try objects(result.output)
        #expect(cases.count == 2)
        for it in cases {
            func number(_ key: String) throws -> Double { try #require(it[key] as? Double) }
            #expect(try number("same_texts") == number("batch"))
            let (drafted, accepted) = (try number("drafted"), try number("accepted"))
            #expect(accepted > 0 && accepted < drafted)
            #expect(try number("acceptance_length") > 1.1)
            let shares = try #require(it["accepted_shares"] as? [Double])
            #expect(shares.count == 3 && shares.allSatisfy { (0...1).contains($0) })
            let ratio =
                try number("speculative_tokens_per_second") / number("plain_tokens_per_second")
            #expect(abs(try number("ratio_to_plain") - ratio) < 1e-9)
        }
    }

    @Test(
        "options that do not belong together are refused",
        arguments: [
            ["--draft-length", "2"], ["--acceptance", "0.5"],
            ["--acceptance", "1.5", "--draft-length", "2"],
            ["--acceptance", "0.5", "--draft-length", "8"], ["--draft", "Models/tiny-draft"],
            ["--prompts", "x.txt"],
        ])
    func refused(_ options: [String]) throws {
        let result = try Program.run(
            ["bench", "decode", Program.tiny, "--device", "cpu"] + options)
        #expect(result.status == 2, "\(result.output)")
    }

    @Test("random weights take the formats of a plan")
    func planned() throws {
        // Of every layer's matrices the wide ones are of rank 32, the others stay as they are.
        var matrices: [[String: Any]] = []
        for layer in 0..<6 {
            for (name, rows, columns) in [
                ("self_attn.q_proj", 256, 256), ("self_attn.k_proj", 128, 256),
                ("self_attn.v_proj", 128, 256), ("self_attn.o_proj", 256, 256),
                ("mlp.gate_proj", 768, 256), ("mlp.up_proj", 768, 256), ("mlp.down_proj", 256, 768),
            ] {
                let format: [String: Any] =
                    name.hasPrefix("mlp") ? ["kind": "low-rank", "rank": 32] : ["kind": "dense"]
                let patch: [String: Any] = [
                    "region": ["rows": [0, rows], "columns": [0, columns]], "format": format,
                    "dtype": "BF16",
                ]
                matrices.append([
                    "name": "model.layers.\(layer).\(name)", "rows": rows, "columns": columns,
                    "patches": [patch],
                ])
            }
        }
        let plan: [String: Any] = [
            "version": 1, "source": String(repeating: "0", count: 64), "settings": [String: Any](),
            "matrices": matrices,
        ]
        let result = try withScratch { scratch in
            try JSONSerialization.data(withJSONObject: plan)
                .write(to: URL(fileURLWithPath: scratch.path("plan.json")))
            return try Program.run(
                "bench", "decode", "--config", Self.config, "--dummy", "--plan",
                scratch.path("plan.json"), "--seconds", "0.05", "--device", "cpu", "--json",
                "--quiet")
        }
        #expect(result.status == 0, "\(result.errors)")
        let it = try #require(try objects(result.output).first)
        let kept = 6 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 32 * (256 + 768))
        #expect(it["variant"] as? String == "compressed")
        #expect(it["keep"] as? Double == Double(kept) / 4_718_592)
    }

    @Test("compressed random weights count as their factors")
    func compressed() throws {
        let result = try Program.run(
            "bench", "decode", "--config", Self.config, "--dummy", "--keep", "0.617", "--dtype",
            "bfloat16", "--context", "8", "--seconds", "0.05", "--device", "cpu", "--json",
            "--quiet")
        #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        let it = try #require(try objects(result.output).first)
        #expect(it["variant"] as? String == "compressed")
        let keep = try #require(it["keep"] as? Double)
        #expect(keep < 0.617 && keep > 0.5)
        let cache = 2 * 9 * 6 * 128 * 4
        let bytes = try #require(it["bytes_touched"] as? Double)
        #expect(abs(bytes - (keep * 4_718_592 + 4_096 * 256) * 2 - Double(cache)) < 1)
    }

    @Test("formats that libtorch contracts are named")
    func slowFormats() throws {
        let result = try Program.run(
            "bench", "decode", "--config", Self.config, "--dummy", "--keep", "0.5", "--format",
            "tucker", "--seconds", "0.05", "--device", "cpu", "--csv", "--quiet")
        #expect(result.status == 0)
        #expect(result.errors.contains("contracted by libtorch"), "\(result.errors)")
        #expect(result.errors.contains("tucker"))
    }

    @Test("prompts are read in chunks")
    func prefill() throws {
        let result = try Program.run(
            "bench", "prefill", Program.tiny, "--tokens", "50,130", "--chunk", "64", "--seconds",
            "0.05", "--device", "cpu", "--json", "--quiet")
        #expect(result.status == 0, "\(result.errors)")
        let cases = try objects(result.output)
        #expect(cases.compactMap { $0["tokens"] as? Int } == [50, 130])
        #expect(cases.compactMap { $0["chunk"] as? Int } == [50, 64])
        for it in cases {
            let (milliseconds, rate) = (
                it["prefill_ms"] as? Double, it["tokens_per_second"] as? Double
            )
            let tokens = try #require(it["tokens"] as? Double)
            #expect(abs(try #require(milliseconds) * #require(rate) / 1e3 - tokens) < 1e-6)
            #expect(try #require(it["tflops"] as? Double) > 0)
        }
    }

    @Test("requests are served, and each answer has all its tokens")
    func serve() throws {
        let result = try Program.run(
            "bench", "serve", "--config", Self.config, "--dummy", "--keep", "0.5", "--requests",
            "3", "--concurrency", "2", "--prompt-tokens", "40", "--output-tokens", "5", "--device",
            "cpu", "--json", "--quiet")
        #expect(result.status == 0, "\(result.errors)")
        let served = try result.json()
        func number(_ key: String) throws -> Double { try #require(served[key] as? Double) }
        #expect(try number("requests") == 3)
        #expect(
            abs(try number("output_tokens_per_second") * number("seconds") - 15) < 1e-6)
        for kind in ["ttft", "itl"] {
            let (p50, p90, p99) = (
                try number("\(kind)_p50_ms"), try number("\(kind)_p90_ms"),
                try number("\(kind)_p99_ms")
            )
            #expect(0 < p50 && p50 <= p90 && p90 <= p99)
        }
        #expect(served["variant"] as? String == "compressed")
    }

    @Test(
        "a cache that is too small makes requests give way, and come back from the host where it has room"
    )
    func spill() throws {
        for (memory, restores) in [("0", false), ("0.5", true)] {
            // Three blocks each come to need, and there are three: the first takes what the second has read.
            let served = try Program.run(
                "bench", "serve", "--config", Self.config, "--dummy", "--requests", "2",
                "--concurrency", "2", "--prompt-tokens", "40", "--output-tokens", "150",
                "--blocks", "3", "--spill-memory", memory, "--device", "cpu", "--json", "--quiet"
            ).json()
            #expect(served["preemptions"] as? Int == 1)
            let restored = try #require(served["restored_tokens"] as? Int)
            #expect(restored == (restores ? 64 : 0))
        }
    }

    @Test("what cannot be in memory is refused with its sum before anything is made")
    func absurd() throws {
        for arguments in [
            ["decode", "--batch", "16777216", "--context", "4000"],
            ["serve", "--concurrency", "16777216", "--requests", "16777216"],
        ] {
            let result = try Program.run(
                ["bench"] + arguments + ["--config", Self.config, "--dummy", "--device", "cpu"])
            #expect(result.status == 1)
            #expect(result.errors.contains("GiB of keys and values"), "\(result.errors)")
            #expect(result.errors.contains("cpu has"), "\(result.errors)")
        }
    }

    @Test(
        "what cannot be measured is refused",
        arguments: [
            (["decode"], "give a model's folder"),
            (["decode", "--config", "x.json"], "--dummy"),
            (["decode", Program.tiny, "--dummy"], "--dummy weights"),
            (["decode", Program.tiny, "--context", "5000"], "beyond the model's context of 4,096"),
            (["decode", Program.tiny, "--batch", "0"], "batch"),
            (["decode", Program.tiny, "--keep", "0.5"], "minima compress"),
            (["prefill", Program.tiny, "--chunk", "0"], "--chunk"),
            (["prefill", Program.tiny], "8,192 tokens are beyond the model's context of 4,096"),
            (["serve", Program.tiny, "--requests", "0"], "--requests"),
            (["serve", Program.tiny, "--spill-memory=-1"], "--spill-memory must be"),
            (["serve", Program.tiny, "--blocks", "0"], "--blocks must be"),
            (["serve", "--config", "x", "--dummy", "--keep", "1"], "below 1"),
            (["serve", "--config", "x", "--dummy", "--format", "tucker"], "--format needs"),
            (["decode", "--config", "x", "--dummy", "--rank-multiple", "8"], "needs --keep"),
            (
                ["decode", "--config", config, "--dummy", "--keep", "0.5", "--plan", "p"],
                "not both"
            ),
            (
                ["decode", "--config", config, "--dummy", "--keep", "0.00001"],
                "no low-rank format holds"
            ),
            (["decode", "--config", config, "--dummy", "--plan", "/no/plan.json"], "plan.json"),
        ])
    func refusals(_ arguments: [String], _ words: String) throws {
        let result = try Program.run(["bench"] + arguments + ["--device", "cpu"])
        #expect(result.status != 0)
        #expect(result.errors.contains(words), "\(result.errors)")
    }
}
