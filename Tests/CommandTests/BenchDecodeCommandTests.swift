import Foundation
import Testing

@Suite("minima bench decode")
struct BenchDecodeCommandTests {
    @Test("one object per case, whose numbers agree with one another")
    func cases() throws {
        let result = try Program.run(
            "bench", "decode", Program.tiny, "--batch", "1,2", "--context", "16,100", "--seconds",
            "0.05", "--device", "cpu", "--json", "--quiet")
        #expect(result.status == 0, "\(result.errors)")
        let cases = try #require(
            try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]])
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
        }
    }

    @Test("random weights of any shape, as a table")
    func dummy() throws {
        let result = try Program.run(
            "bench", "decode", "--config", Program.tiny + "/config.json", "--dummy", "--context",
            "8", "--seconds", "0.05", "--device", "cpu", "--csv", "--quiet")
        #expect(result.status == 0, "\(result.errors)")
        let lines = result.output.split(separator: "\n").map { $0.split(separator: ",") }
        #expect(lines.count == 2 && lines[0].count == lines[1].count)
        #expect(lines[0].prefix(3) == ["batch", "context", "step_ms"])
    }

    @Test(
        "what cannot be measured is refused",
        arguments: [
            ([], "give a model's folder"), (["--config", "x.json"], "--dummy"),
            ([Program.tiny, "--dummy"], "--dummy weights"),
            ([Program.tiny, "--context", "5000"], "beyond the model's context of 4,096"),
            ([Program.tiny, "--batch", "0"], "batch"),
        ])
    func refusals(_ arguments: [String], _ words: String) throws {
        let result = try Program.run(["bench", "decode"] + arguments + ["--device", "cpu"])
        #expect(result.status != 0)
        #expect(result.errors.contains(words), "\(result.errors)")
    }
}
