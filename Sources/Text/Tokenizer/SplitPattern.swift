/// The regular expressions that split text into words before byte-pair merging, as hand-written
/// scanners over UTF-8. Each takes the alternatives in the order of the expression.
enum SplitPattern: Sendable, Equatable {
    /// GPT-2, and `ByteLevel` with `use_regex`.
    case gpt2
    /// Qwen2 and Qwen3 (`digits` = 1), Llama 3 (`digits` = 3): the longest run of numbers in a word.
    case digits(Int)

    /// The expression as it stands in tokenizer.json.
    static func named(_ expression: String) -> SplitPattern? {
        let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
        let rest = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
        switch expression {
        case contractions + "\\p{N}" + rest: return .digits(1)
        case contractions + "\\p{N}{1,3}" + rest: return .digits(3)
        case "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
            "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+":
            return .gpt2
        default: return nil
        }
    }
}

/// Walks over UTF-8 text word by word.
struct WordScanner {
    let text: UnsafeBufferPointer<UInt8>
    private let ascii: UnsafePointer<UInt8>

    /// - Parameter ascii: `ASCIIClasses.table`, which must outlive the scanner.
    init(_ text: UnsafeBufferPointer<UInt8>, ascii: UnsafePointer<UInt8>) {
        (self.text, self.ascii) = (text, ascii)
    }

    /// Class and byte length of the scalar at `position`, which must be inside the text.
    @inline(__always)
    private func scalar(at position: Int) -> (kind: ScalarClass, length: Int) {
        let byte = text[position]
        if byte < 0x80 { return (ScalarClass(rawValue: ascii[Int(byte)]), 1) }
        return Self.wideScalar(text, position)
    }

    @inline(never)
    private static func wideScalar(
        _ text: UnsafeBufferPointer<UInt8>, _ position: Int
    ) -> (kind: ScalarClass, length: Int) {
        let decoded = DecodedScalar(text, at: position)
        return (ScalarClass(decoded.value), decoded.length)
    }

    /// The end of the run of scalars from `position` that have a bit of `wanted`.
    @inline(__always)
    private func run(of wanted: ScalarClass, from position: Int) -> Int {
        var end = position
        while end < text.count {
            let (kind, length) = scalar(at: end)
            if kind.isDisjoint(with: wanted) { break }
            end += length
        }
        return end
    }

    /// The end of the run of scalars from `position` that are no letter, number or space.
    @inline(__always)
    private func symbols(from position: Int) -> Int {
        var end = position
        while end < text.count {
            let (kind, length) = scalar(at: end)
            if !kind.isDisjoint(with: [.letter, .number, .space]) { break }
            end += length
        }
        return end
    }

    /// The end of the word that starts at `start`, which must be inside the text.
    @inline(__always)
    func end(ofWordAt start: Int, pattern: SplitPattern) -> Int {
        switch pattern {
        case .gpt2: endGPT2(start)
        case .digits(let limit): endDigits(start, limit: limit)
        }
    }

    @inline(__always)
    private func endGPT2(_ start: Int) -> Int {
        let byte = text[start]
        if byte == UInt8(ascii: "'"), let end = contraction(at: start) { return end }
        // ` ?` belongs to the word only if something other than a space follows.
        let first = byte == 0x20 && start + 1 < text.count ? start + 1 : start
        let (kind, length) = scalar(at: first)
        if kind.contains(.letter) { return run(of: .letter, from: first + length) }
        if kind.contains(.number) { return run(of: .number, from: first + length) }
        if !kind.contains(.space) { return symbols(from: first + length) }
        return spaces(from: start, end: run(of: .space, from: start))
    }

    @inline(__always)
    private func endDigits(_ start: Int, limit: Int) -> Int {
        let byte = text[start]
        if byte == UInt8(ascii: "'"), let end = anyCaseContraction(at: start) { return end }
        let (kind, length) = scalar(at: start)
        if kind.contains(.letter) { return run(of: .letter, from: start + length) }
        if kind.contains(.number) { return numbers(from: start + length, left: limit - 1) }
        let second = start + length
        // `[^\r\n\p{L}\p{N}]?\p{L}+`: any one symbol or space may lead a word.
        if !kind.contains(.newline), second < text.count {
            let (next, nextLength) = scalar(at: second)
            if next.contains(.letter) { return run(of: .letter, from: second + nextLength) }
            if byte == 0x20, next.isDisjoint(with: [.number, .space]) {
                return run(of: .newline, from: symbols(from: second + nextLength))
            }
        }
        if !kind.contains(.space) { return run(of: .newline, from: symbols(from: second)) }
        return spacesOrLines(from: start)
    }

    @inline(__always)
    private func numbers(from position: Int, left: Int) -> Int {
        var (end, left) = (position, left)
        while left > 0, end < text.count {
            let (kind, length) = scalar(at: end)
            guard kind.contains(.number) else { break }
            end += length
            left -= 1
        }
        return end
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+`: up to the last line end in the run of spaces, else `spaces`.
    private func spacesOrLines(from start: Int) -> Int {
        var end = start
        var afterLine: Int?
        while end < text.count {
            let (kind, length) = scalar(at: end)
            guard kind.contains(.space) else { break }
            end += length
            if kind.contains(.newline) { afterLine = end }
        }
        return afterLine ?? spaces(from: start, end: end)
    }

    /// `\s+(?!\S)|\s+`: the last space of a run is left to the word that follows it.
    private func spaces(from start: Int, end: Int) -> Int {
        guard end < text.count else { return end }
        var last = end - 1
        while last > start, text[last] & 0xC0 == 0x80 { last -= 1 }
        return last > start ? last : end
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d` at an apostrophe.
    private func contraction(at start: Int) -> Int? {
        guard start + 1 < text.count else { return nil }
        let next = start + 2 < text.count ? text[start + 2] : 0
        switch (text[start + 1], next) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _),
            (UInt8(ascii: "d"), _):
            return start + 2
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return nil
        }
    }

    /// The same in any case. Unicode folding makes `ſ` (U+017F) an s; no other scalar folds so.
    private func anyCaseContraction(at start: Int) -> Int? {
        guard start + 1 < text.count else { return nil }
        let next = start + 2 < text.count ? text[start + 2] : 0
        if text[start + 1] == 0xC5, next == 0xBF { return start + 3 }
        guard text[start + 1] < 0x80 else { return nil }
        switch (text[start + 1] | 0x20, next < 0x80 ? next | 0x20 : 0) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _),
            (UInt8(ascii: "d"), _):
            return start + 2
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return nil
        }
    }
}

/// The classes of ASCII at a fixed address, for the inner loop of the scanner.
final class ASCIIClasses: @unchecked Sendable {
    /// 128 raw `ScalarClass` values; never changed after `init`, freed never (one per process).
    let table: UnsafePointer<UInt8>

    static let shared = ASCIIClasses()

    private init() {
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: 128)
        for byte in UInt8(0)..<128 {
            let kind: ScalarClass
            switch byte {
            case 0x0A, 0x0D: kind = [.space, .newline]
            case 0x09, 0x0B, 0x0C, 0x20: kind = .space
            case 0x30...0x39: kind = .number
            case 0x41...0x5A, 0x61...0x7A: kind = .letter
            default: kind = []
            }
            (table + Int(byte)).initialize(to: kind.rawValue)
        }
        self.table = UnsafePointer(table)
    }
}
