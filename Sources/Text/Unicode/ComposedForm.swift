import Foundation

/// Normalisation form C (UAX #15) on UTF-8, touching only what can change.
struct ComposedForm {
    private let text: UnsafeBufferPointer<UInt8>
    private var output: [UInt8] = []
    /// Up to here the text is in `output`, composed.
    private var copied = 0
    private var isChanged = false
    /// The scalar before the current one, if both may compose: empty at the start and after a run.
    private var previous = 0..<0

    /// - Returns: the composed bytes, or nil when `text` is composed already (nearly all text is).
    static func compose(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var form = ComposedForm(text: text)
        form.run()
        guard form.isChanged else { return nil }
        form.output.append(contentsOf: UnsafeBufferPointer(rebasing: text[form.copied...]))
        return form.output
    }

    private init(text: UnsafeBufferPointer<UInt8>) { self.text = text }

    private mutating func run() {
        var position = 0
        while position < text.count {
            // Nothing below U+0300 (lead byte 0xCC) composes with what stands before it.
            if text[position] < 0xCC {
                let end = min(position + (text[position] < 0x80 ? 1 : 2), text.count)
                previous = position..<end
                position = end
                continue
            }
            let scalar = DecodedScalar(text, at: position)
            let kind = ScalarClass(scalar.value)
            let end = position + scalar.length
            if kind.contains(.composes) {
                position = composeRun(from: position, to: endOfRun(from: end))
            } else if kind.contains(.hangulPart) {
                position = composeHangul(at: position, scalar)
            } else {
                let joins = !kind.contains(.isNewer) && Self.startsPairs(scalar.value)
                previous = joins ? position..<end : end..<end
                position = end
            }
        }
    }

    /// Whether a scalar may be the first of a pair that composes, as of Unicode 9 (wider than needed).
    /// Others must not reach Swift's normalisation, which takes some for others (Swift 6.3:
    /// wrong for some scalars from U+10040, U+11F00, U+20040 and U+E0040 on, before a mark).
    private static func startsPairs(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0..<0x0F00, 0x1000..<0x3100, 0xAC00..<0xD7A4, 0x11080..<0x11600: true
        default: false
        }
    }

    private mutating func replace(_ range: Range<Int>, with composed: some Sequence<UInt8>) {
        output.append(contentsOf: UnsafeBufferPointer(rebasing: text[copied..<range.lowerBound]))
        output.append(contentsOf: composed)
        copied = range.upperBound
        isChanged = true
    }

    /// Composes a run of scalars with the one before.
    private mutating func composeRun(from position: Int, to end: Int) -> Int {
        let start = previous.isEmpty ? position : previous.lowerBound
        let run = UnsafeBufferPointer(rebasing: text[start..<end])
        let composed = String(decoding: Self.openTibetanVowels(run), as: UTF8.self)
            .precomposedStringWithCanonicalMapping
        if !composed.utf8.elementsEqual(run) { replace(start..<end, with: composed.utf8) }
        previous = end..<end
        return end
    }

    /// Decomposes U+0F73, U+0F75 and U+0F81. They start anew themselves but stand for two marks, and
    /// Swift's normalisation (6.3) does not sort those in among their neighbours.
    private static func openTibetanVowels(_ run: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        guard run.contains(0xBD) || run.contains(0xBE) else { return Array(run) }
        let vowels: [(vowel: String, marks: String)] = [
            ("\u{0F73}", "\u{0F71}\u{0F72}"), ("\u{0F75}", "\u{0F71}\u{0F74}"),
            ("\u{0F81}", "\u{0F71}\u{0F80}"),
        ]
        return vowels.reduce(Array(run)) { run, pair in
            run.withUnsafeBufferPointer {
                Normalizer.replace(Array(pair.vowel.utf8), with: Array(pair.marks.utf8), in: $0)
            } ?? run
        }
    }

    /// The end of the scalars from `position` that all may compose.
    private func endOfRun(from position: Int) -> Int {
        var end = position
        while end < text.count, text[end] >= 0xCC {
            let scalar = DecodedScalar(text, at: end)
            guard ScalarClass(scalar.value).contains(.composes) else { break }
            end += scalar.length
        }
        return end
    }

    private mutating func composeHangul(at position: Int, _ scalar: DecodedScalar) -> Int {
        let start = previous.lowerBound
        var end = position + scalar.length
        guard !previous.isEmpty,
            var syllable = HangulSyllable.compose(
                DecodedScalar(text, at: start).value, scalar.value)
        else {
            previous = position..<end
            return end
        }
        if end < text.count {
            let next = DecodedScalar(text, at: end)
            if let longer = HangulSyllable.compose(syllable, next.value) {
                syllable = longer
                end += next.length
            }
        }
        if let scalar = Unicode.Scalar(syllable), let bytes = UTF8.encode(scalar) {
            replace(start..<end, with: bytes)
        }
        previous = end..<end
        return end
    }
}
