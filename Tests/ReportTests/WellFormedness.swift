/// A small reader of markup: every element is closed in order, attributes are quoted and given once,
/// and every ampersand begins an entity.
struct WellFormedness {
    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    /// Names of the elements, in order of their beginnings.
    private(set) var elements: [String] = []
    private(set) var attributes: [(name: String, value: String)] = []

    init(_ page: String) throws {
        var rest = Substring(page)
        var open: [String] = []
        while let next = rest.firstIndex(of: "<") {
            try Self.requireText(rest[..<next])
            rest = rest[rest.index(after: next)...]
            guard let end = rest.firstIndex(of: ">") else { throw Fault(description: "cut tag") }
            let tag = rest[..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("!DOCTYPE") { continue }
            if tag.hasPrefix("/") {
                let name = String(tag.dropFirst())
                guard open.popLast() == name else {
                    throw Fault(description: "</\(name)> closes another element")
                }
                continue
            }
            let isVoid = tag.hasSuffix("/")
            let name = try read(isVoid ? tag.dropLast() : tag)
            if !isVoid { open.append(name) }
        }
        try Self.requireText(rest)
        guard open.isEmpty else { throw Fault(description: "open: \(open)") }
    }

    /// - Returns: the element's name.
    private mutating func read(_ tag: Substring) throws -> String {
        let name = tag.prefix { $0.isLetter || $0.isNumber }
        guard !name.isEmpty else { throw Fault(description: "no name in <\(tag)>") }
        elements.append(String(name))
        var rest = tag.dropFirst(name.count)
        var seen: Set<String> = []
        while rest.first == " " {
            rest = rest.dropFirst()
            let key = rest.prefix { $0 != "=" }
            rest = rest.dropFirst(key.count)
            guard rest.hasPrefix("=\""), key.allSatisfy({ $0.isLetter || $0 == "-" }) else {
                throw Fault(description: "attribute '\(key)' in <\(tag)>")
            }
            let value = rest.dropFirst(2).prefix { $0 != "\"" }
            rest = rest.dropFirst(3 + value.count)
            try Self.requireText(value)
            guard seen.insert(String(key)).inserted else {
                throw Fault(description: "two \(key) in <\(tag)>")
            }
            attributes.append((String(key), String(value)))
        }
        guard rest.isEmpty else { throw Fault(description: "'\(rest)' in <\(tag)>") }
        return String(name)
    }

    private static func requireText(_ text: Substring) throws {
        for part in text.split(separator: "&", omittingEmptySubsequences: false).dropFirst() {
            let entity = part.prefix { $0 != ";" }
            guard ["amp", "lt", "gt", "quot", "#39"].contains(String(entity)) else {
                throw Fault(description: "a bare & before '\(part.prefix(12))'")
            }
        }
        for scalar in text.unicodeScalars
        where scalar.value < 32 && !"\n\r\t".unicodeScalars.contains(scalar) {
            throw Fault(description: "control character \(scalar.value)")
        }
    }
}
