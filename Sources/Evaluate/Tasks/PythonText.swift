// What Python's `str` methods do, character for character, where prompts depend on it. A Python string is a
// sequence of Unicode scalars; Swift's own methods work on grapheme clusters and would cut elsewhere.

extension Unicode.Scalar {
    /// Python's `str.isspace` of one character.
    var isPythonSpace: Bool {
        properties.isWhitespace || (0x1C...0x1F).contains(value)
    }
}

extension String {
    /// Python's `str.rstrip()`.
    var strippedAtEnd: String {
        let scalars = unicodeScalars
        var end = scalars.endIndex
        while end > scalars.startIndex {
            let before = scalars.index(before: end)
            guard scalars[before].isPythonSpace else { break }
            end = before
        }
        return String(scalars[..<end])
    }

    /// Python's `str.strip()`.
    var stripped: String {
        String(unicodeScalars.drop { $0.isPythonSpace }).strippedAtEnd
    }

    /// Python's `str.capitalize()`: the first character in title case, the others in lower case.
    var capitalizedAsSentence: String {
        guard let first = unicodeScalars.first else { return "" }
        return unicodeScalars.dropFirst().reduce(into: first.properties.titlecaseMapping) {
            $0 += $1.properties.lowercaseMapping
        }
    }

    /// Python's `str.replace`: from left to right, without overlap.
    /// - Parameter pattern: not empty.
    func replacing(every pattern: String, by replacement: String) -> String {
        let (text, wanted) = (Array(utf8), Array(pattern.utf8))
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var position = 0
        while position < text.count {
            if text[position...].starts(with: wanted) {
                output += replacement.utf8
                position += wanted.count
            } else {
                output.append(text[position])
                position += 1
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Whether the scalars begin with those of `prefix`, however they would combine.
    func begins(with prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }
}
