import Testing

@testable import Text

/// Encoding and loading speed. Always printed; asserted only with MINIMA_PERFORMANCE=1, because shared
/// machines are noisy.
@Suite("Throughput", .serialized, .enabled(if: TestData.hasData))
struct ThroughputTests {
    static let isAsserted = TestData.environment["MINIMA_PERFORMANCE"] == "1"

    /// Seconds of the fastest of `runs` runs.
    private func fastest(_ runs: Int, _ body: () throws -> Void) rethrows -> Double {
        var best = Double.infinity
        for _ in 0..<runs {
            let time = try ContinuousClock().measure(body)
            best = min(best, time / .seconds(1))
        }
        return best
    }

    @Test(
        "encodes English at 5 MB/s or more",
        arguments: TestData.folders.keys.sorted() + ["llama2"])
    func encoding(name: String) throws {
        let folder = TestData.folders[name] ?? "\(TestData.data)/data/tokenizers/\(name)"
        let tokenizer = try Tokenizer(path: folder)
        var documents = try Corpus(path: "\(TestData.data)/data/corpus/valid.txt.xz").documents()
        var texts: [[UInt8]] = []
        while let text = try documents.nextUTF8() { texts.append(text) }
        let bytes = texts.reduce(0) { $0 + $1.count }
        var tokens = 0
        let seconds = fastest(3) {
            tokens = texts.reduce(0) { $0 + tokenizer.encode(utf8: $1).count }
        }
        let speed = Double(bytes) / seconds / 1e6
        print("\(name): encodes \(speed.rounded()) MB/s (\(tokens) tokens)")
        if Self.isAsserted, name == "tiny" || name == "qwen2" { #expect(speed >= 5) }
    }

    @Test("loads quickly", arguments: [("tiny", 0.05), ("qwen2", 0.4), ("gpt2", 0.4)])
    func loading(name: String, limit: Double) throws {
        let seconds = try fastest(3) { _ = try TestData.tokenizer(name) }
        print("\(name): loads in \((seconds * 1_000).rounded()) ms")
        if Self.isAsserted { #expect(seconds < limit) }
    }

    /// Long words must not cost their length squared: that would be an hour instead of half a second.
    @Test(
        "a megabyte without a break is no problem",
        arguments: ["a", " ", "ab", "é", "1", "=", "\n"])
    func unbroken(unit: String) throws {
        let tokenizer = try Tokenizer(path: TinyModel.folder)
        let text = String(repeating: unit, count: 1_000_000 / unit.utf8.count)
        var tokens: [TokenID] = []
        let seconds = fastest(1) { tokens = tokenizer.encode(text) }
        print("1 MB of \(unit.debugDescription): \((seconds * 1_000).rounded()) ms")
        #expect(try tokenizer.decode(tokens) == text)
        #expect(seconds < 20)
    }
}
