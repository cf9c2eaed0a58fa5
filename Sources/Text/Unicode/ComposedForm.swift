import Foundation

/// Normalisation form C (UAX #15) on UTF-8, touching only what can change.
enum ComposedForm {
    /// - Returns: the composed bytes, or nil when `text` is composed already (nearly all text is).
    static func compose(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var output: [UInt8]?
        var copied = 0
        var position = 0
        var previous = 0..<0
        var previousIsNewer = false
        while position < text.count {
            // Nothing below U+0300 (lead byte 0xCC) composes with what stands before it.
            if text[position] < 0xCC {
                let start = position
                position += text[position] < 0x80 ? 1 : 2
                previous = start..<min(position, text.count)
                previousIsNewer = false
                position = previous.upperBound
                continue
            }
            let scalar = DecodedScalar(text, at: position)
            let kind = ScalarClass(scalar.value)
            guard kind.contains(.composes) else {
                previous = position..<position + scalar.length
                previousIsNewer = kind.contains(.isNewer)
                position += scalar.length
                continue
            }
            let start = previousIsNewer || previous.lowerBound < copied
                ? position : previous.lowerBound
            let end = endOfRun(in: text, from: position + scalar.length)
            let run = String(decoding: text[start..<end], as: UTF8.self)
            var composed = run.precomposedStringWithCanonicalMapping
            let isChanged = composed.withUTF8 { !$0.elementsEqual(text[start..<end]) }
            if isChanged {
                var result = output ?? []
                result.append(contentsOf: text[copied..<start])
                result.append(contentsOf: composed.utf8)
                output = result
                copied = end
            }
            previous = end..<end
            previousIsNewer = false
            position = end
        }
        output?.append(contentsOf: text[copied...])
        return output
    }

    /// The end of the scalars from `position` that all may compose.
    private static func endOfRun(
        in text: UnsafeBufferPointer<UInt8>, from position: Int
    ) -> Int {
        var end = position
        while end < text.count, text[end] >= 0xCC {
            let scalar = DecodedScalar(text, at: end)
            guard ScalarClass(scalar.value).contains(.composes) else { break }
            end += scalar.length
        }
        return end
    }
}
