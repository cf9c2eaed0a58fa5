/// Composition of Hangul syllables (Unicode core specification, 3.12).
///
/// Done here because Swift's own normalisation leaves a syllable without a final consonant and a final
/// that follows it apart (Swift 6.3: U+AC00 U+11A8 stays, although U+AC01 is the composed form).
enum HangulSyllable {
    static let initials: Range<UInt32> = 0x1100..<0x1113
    static let vowels: Range<UInt32> = 0x1161..<0x1176
    /// Without the first code point of the block's arithmetic, 0x11A7, which means "no final".
    static let finals: Range<UInt32> = 0x11A8..<0x11C3
    static let syllables: Range<UInt32> = 0xAC00..<0xD7A4

    /// The syllable that two neighbouring scalars make, nil if they make none.
    static func compose(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if initials.contains(first), vowels.contains(second) {
            let index = (first - initials.lowerBound) * 21 + (second - vowels.lowerBound)
            return syllables.lowerBound + index * 28
        }
        if syllables.contains(first), (first - syllables.lowerBound) % 28 == 0,
            finals.contains(second)
        {
            return first + (second - finals.lowerBound + 1)
        }
        return nil
    }
}
