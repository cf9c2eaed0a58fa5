import Artifacts

/// How much of a text that a model is judged by stands word for word in the text that it learns from.
package struct Contamination: Sendable {
    /// Tokens that must be the same, one after the other, to count: about two sentences, which independent
    /// texts do not share but for boilerplate.
    static let length = 32
    /// A larger share of the evaluation text is refused.
    package static let limit = 0.01

    /// Share of the evaluation text's tokens that lie in a run of `length` which the training text has.
    package let evaluationShare: Double
    /// Share of the training windows with such a run.
    package let windowShare: Double

    /// - Parameters:
    ///   - evaluation: tokens of the held-out texts.
    ///   - windows: those that are trained on, whole or in part.
    package init(
        evaluation: [[Int32]], windows: TrainingWindows,
        progress: (_ windows: Int) throws -> Void
    ) throws {
        var known: [UInt64: Bool] = [:]
        for text in evaluation {
            Self.forEachRun(text) { hash, _ in known[hash] = false }
        }
        let filter = Filter(known.keys)
        var touched = 0
        for index in 0..<windows.count {
            var isTouched = false
            // With what the next window begins with, so that no run falls between two.
            try Self.forEachRun(windows.overlapping(index, by: Self.length)) { hash, _ in
                guard filter.mayHold(hash), known[hash] != nil else { return }
                known[hash] = true
                isTouched = true
            }
            if isTouched { touched += 1 }
            if index % 256 == 0 { try progress(index) }
        }
        windowShare = Double(touched) / Double(windows.count)
        var (found, all) = (0, 0)
        for text in evaluation {
            var covered = Array(repeating: false, count: text.count)
            Self.forEachRun(text) { hash, start in
                guard known[hash] == true else { return }
                for place in start..<start + Self.length { covered[place] = true }
            }
            found += covered.count(where: { $0 })
            all += text.count
        }
        evaluationShare = all == 0 ? 0 : Double(found) / Double(all)
    }

    /// A rolling polynomial hash of every run of `length` tokens, with where it begins.
    static func forEachRun(_ tokens: [Int32], _ body: (UInt64, Int) -> Void) {
        guard tokens.count >= length else { return }
        let base: UInt64 = 0x9E37_79B9_7F4A_7C15 | 1
        var leading: UInt64 = 1
        for _ in 1..<length { leading = leading &* base }
        var hash: UInt64 = 0
        tokens.withUnsafeBufferPointer { tokens in
            for index in tokens.indices {
                if index >= length {
                    hash = hash &- leading &* mixed(tokens[index - length])
                }
                hash = hash &* base &+ mixed(tokens[index])
                if index >= length - 1 { body(hash, index - length + 1) }
            }
        }
    }

    /// Spreads a token over all bits.
    private static func mixed(_ token: Int32) -> UInt64 {
        var z = UInt64(UInt32(bitPattern: token)) &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        return z ^ (z >> 27)
    }

    /// Most hashes are not known; a bit for each low part saves the search.
    private struct Filter {
        private var bits = [UInt64](repeating: 0, count: 1 << 16)

        init(_ hashes: some Sequence<UInt64>) {
            for hash in hashes {
                bits[Int(hash >> 48)] |= 1 << (hash >> 42 & 63)
            }
        }

        func mayHold(_ hash: UInt64) -> Bool {
            bits[Int(hash >> 48)] & (1 << (hash >> 42 & 63)) != 0
        }
    }
}

extension TrainingWindows {
    /// A window with up to `extra` of the tokens that follow it in its file.
    func overlapping(_ index: Int, by extra: Int) throws -> [Int32] {
        let (file, start) = place(of: index)
        let end = min(files[file].count, start + length + extra)
        return try files[file].tokens(start..<end)
    }
}
