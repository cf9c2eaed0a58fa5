import Tensors
import Testing

@testable import Generate

@Suite("StopScanner")
struct StopScannerTests {
    /// What `scanner` lets through of `pieces`.
    private static func shown(_ pieces: [String], _ stops: [String]) -> (
        text: String, stopped: Bool
    ) {
        var scanner = StopScanner(stops)
        var text = ""
        for piece in pieces { text += scanner.admit(piece) }
        return (text + scanner.finish(), scanner.isStopped)
    }

    /// By definition: the text before the stop string that is complete first; of those that end
    /// together, the longest.
    private static func expected(_ text: String, _ stops: [String]) -> (text: String, stopped: Bool)
    {
        let text = Array(text.utf8)
        let stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
        for end in 0...text.count {
            let completed = stops.filter { text[..<end].reversed().starts(with: $0.reversed()) }
            if let longest = completed.map(\.count).max() {
                return (String(decoding: text[..<(end - longest)], as: UTF8.self), true)
            }
        }
        return (String(decoding: text, as: UTF8.self), false)
    }

    /// Cut after each character that `cuts` says.
    private static func pieces(
        _ text: String, _ random: inout RandomSource, chance: UInt64
    ) -> [String] {
        var pieces = [""]
        // By scalars: the decoder never cuts one, but may cut between those of one character.
        for scalar in text.unicodeScalars {
            pieces[pieces.count - 1].unicodeScalars.append(scalar)
            if random.next() % 4 < chance { pieces.append("") }
        }
        return pieces
    }

    static let alphabets = [
        ["a", "b"], ["a", "b", "ab", "\n"], ["é", "è", "日", "本", "e\u{301}", "👩‍👧"],
    ]

    @Test("random texts in random pieces", arguments: alphabets)
    func property(_ alphabet: [String]) {
        var random = RandomSource(seed: 11)
        func text(_ longest: Int) -> String {
            (0..<Int.random(in: 0...longest, using: &random))
                .map { _ in alphabet.randomElement(using: &random) ?? "" }.joined()
        }
        var stopped = 0
        for _ in 0..<5_000 {
            let stops = (0..<Int.random(in: 0...3, using: &random)).map { _ in text(4) }
            let whole = text(14)
            let chance = UInt64.random(in: 0...4, using: &random)
            let pieces = Self.pieces(whole, &random, chance: chance)
            let (found, expected) = (Self.shown(pieces, stops), Self.expected(whole, stops))
            // Unicode equivalence must not hide a difference.
            #expect(Array(found.text.utf8) == Array(expected.text.utf8), "\(pieces) \(stops)")
            #expect(found.stopped == expected.stopped, "\(pieces) \(stops)")
            if found.stopped { stopped += 1 }
        }
        #expect((1_000..<4_900).contains(stopped), "both outcomes must occur")
    }

    @Test("nothing is held back but the beginning of a stop string", arguments: alphabets)
    func eagerness(_ alphabet: [String]) {
        var random = RandomSource(seed: 12)
        func text(_ lengths: ClosedRange<Int>) -> String {
            (0..<Int.random(in: lengths, using: &random))
                .map { _ in alphabet.randomElement(using: &random) ?? "" }.joined()
        }
        for _ in 0..<2_000 {
            let stops = (0..<2).map { _ in text(1...4) }
            var scanner = StopScanner(stops)
            var (given, shown): ([UInt8], [UInt8]) = ([], [])
            for piece in Self.pieces(text(0...10), &random, chance: 2) {
                given += piece.utf8
                shown += scanner.admit(piece).utf8
                if scanner.isStopped { break }
                #expect(given.starts(with: shown))
                let held = given.dropFirst(shown.count)
                #expect(held.isEmpty || stops.contains { $0.utf8.starts(with: held) })
            }
        }
    }

    @Test("without stop strings, and with empty ones, text passes at once")
    func transparent() {
        for stops in [[], [""]] {
            var scanner = StopScanner(stops)
            #expect(scanner.admit("abc") == "abc")
            #expect(scanner.finish().isEmpty)
            #expect(!scanner.isStopped)
        }
    }

    @Test("after a stop string nothing comes")
    func afterwards() {
        var scanner = StopScanner(["\n\n"])
        #expect(scanner.admit("one\n") == "one")
        #expect(scanner.admit("\ntwo") == "")
        #expect(scanner.isStopped)
        #expect(scanner.admit("three") == "")
        #expect(scanner.finish() == "")
    }
}
