/// What the patterns of pre-tokenisers and the composed form need to know of a scalar.
///
/// Tokenizers were trained and are run elsewhere with fixed Unicode versions, and equal ids need equal
/// tables: `\p{L}`, `\p{N}`, `\s` as of Unicode 16 (Oniguruma in PyPI tokenizers 0.22 and 0.23), and the
/// composed form as of Unicode 9 (its normalisation tables). What Swift's newer tables know beyond that
/// is removed by `age`. Checked scalar by scalar against that package.
struct ScalarClass: OptionSet {
    let rawValue: UInt8

    /// `\p{L}`
    static let letter = ScalarClass(rawValue: 1)
    /// `\p{N}`
    static let number = ScalarClass(rawValue: 2)
    /// `\s`, the property White_Space.
    static let space = ScalarClass(rawValue: 4)
    /// Carriage return or line feed.
    static let newline = ScalarClass(rawValue: 8)
    /// The composed form may change this scalar or join it with the one before; never set for a scalar
    /// that is its own composed form and starts anew.
    static let composes = ScalarClass(rawValue: 16)
    /// Newer than the tables of the composed form, which therefore leave it and its neighbours alone.
    static let isNewer = ScalarClass(rawValue: 32)
    /// A Hangul vowel or final consonant (V, T), which joins with the syllable before by arithmetic.
    static let hangulPart = ScalarClass(rawValue: 64)

    @inline(__always)
    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The class of a scalar outside ASCII (or in it).
    @inline(__always)
    init(_ scalar: UInt32) {
        // Planes 4 to 16 hold no letter, number, space or composing scalar.
        self.init(rawValue: scalar < ScalarClassTable.size ? ScalarClassTable.all[scalar] : 0)
    }
}

/// The classes of planes 0 to 3, one byte each, built at the first scalar beyond ASCII (about 10 ms).
final class ScalarClassTable: Sendable {
    static let size: UInt32 = 0x40000
    static let all = ScalarClassTable()

    private let classes: [UInt8]

    @inline(__always)
    subscript(scalar: UInt32) -> UInt8 { classes[Int(scalar)] }

    /// Long runs of plain letters, filled without asking: CJK ideographs and Hangul syllables.
    private static let letterRuns: [ClosedRange<UInt32>] = [
        0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0x20000...0x2A6DF,
    ]

    /// Blocks with scalars outside category M that the composed form changes or joins. Wider than
    /// needed: a member that needs nothing is only looked at more slowly.
    private static let composingBlocks: [ClosedRange<UInt32>] = [
        0x0340...0x0387, 0x0958...0x095F, 0x09DC...0x09DF, 0x0A33...0x0A5E, 0x0B5C...0x0B5D,
        0x0F43...0x0F43, 0x0F4D...0x0F4D, 0x0F52...0x0F52,
        0x0F57...0x0F57, 0x0F5C...0x0F5C, 0x0F69...0x0F69, 0x1F00...0x1FFF, 0x2000...0x2001,
        0x2126...0x212B,
        0x2329...0x232A, 0x2ADC...0x2ADC, 0xF900...0xFAFF, 0xFB1D...0xFB4E, 0x1D15E...0x1D1C0,
        0x2F800...0x2FA1F,
    ]

    private init() {
        var classes = [UInt8](repeating: 0, count: Int(Self.size))
        var value: UInt32 = 0
        while value < Self.size {
            if let run = Self.letterRuns.first(where: { $0.lowerBound == value }) {
                for letter in run { classes[Int(letter)] = ScalarClass.letter.rawValue }
                value = run.upperBound + 1
                continue
            }
            if let scalar = Unicode.Scalar(value) {
                classes[Int(value)] = Self.classify(scalar).rawValue
            }
            value += 1
        }
        for block in Self.composingBlocks {
            for value in block {
                let current = ScalarClass(rawValue: classes[Int(value)])
                if !current.contains(.isNewer) {
                    classes[Int(value)] = current.union(.composes).rawValue
                }
            }
        }
        for part in [HangulSyllable.vowels, HangulSyllable.finals].joined() {
            classes[Int(part)] |= ScalarClass.hangulPart.rawValue
        }
        self.classes = classes
    }

    private static func classify(_ scalar: Unicode.Scalar) -> ScalarClass {
        if scalar == "\n" || scalar == "\r" { return [.space, .newline] }
        let properties = scalar.properties
        let category = properties.generalCategory
        if category == .unassigned { return [] }
        var result: ScalarClass = []
        let age = properties.age.map { $0.major } ?? 0
        if age > 9 { result.insert(.isNewer) }
        if age > 16 { return result }
        switch category {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            result.insert(.letter)
        case .decimalNumber, .letterNumber, .otherNumber:
            result.insert(.number)
        case .nonspacingMark, .spacingMark, .enclosingMark:
            if age <= 9 { result.insert(.composes) }
        default:
            if properties.isWhitespace { result.insert(.space) }
        }
        return result
    }
}
