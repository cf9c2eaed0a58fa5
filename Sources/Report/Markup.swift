/// A piece of HTML or SVG.
///
/// Names of elements and attributes are written in the program; texts and values may be anything,
/// and are escaped when they are rendered. What comes out is well-formed XML too.
indirect enum Markup: Sendable {
    case text(String)
    case element(StaticString, [(name: StaticString, value: String)], [Markup])
    /// The page's own style sheet, which holds no character that would have to be escaped.
    case style(StaticString)

    static func tag(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:],
        _ children: [Markup] = []
    ) -> Markup {
        .element(name, attributes.map { (name: $0.key, value: $0.value) }, children)
    }

    static func tag(
        _ name: StaticString, _ attributes: KeyValuePairs<StaticString, String>, _ text: String
    ) -> Markup {
        tag(name, attributes, [.text(text)])
    }

    static func tag(_ name: StaticString, _ children: [Markup]) -> Markup {
        tag(name, [:], children)
    }

    static func tag(_ name: StaticString, _ text: String) -> Markup {
        tag(name, [:], [.text(text)])
    }
}

extension Markup {
    var rendered: String {
        var output = ""
        write(to: &output)
        return output
    }

    private func write(to output: inout String) {
        switch self {
        case .text(let text):
            output += Self.escaped(text)
        case .style(let sheet):
            output += sheet.description
        case .element(let name, let attributes, let children):
            let name = name.description
            output += "<" + name
            for attribute in attributes {
                output += " \(attribute.name)=\"\(Self.escaped(attribute.value))\""
            }
            // HTML knows no other elements without an end.
            if Self.void.contains(name) {
                output += "/>"
            } else {
                output += ">"
                for child in children { child.write(to: &output) }
                output += "</\(name)>"
            }
            if Self.blocks.contains(name) { output += "\n" }
        }
    }

    /// Characters that XML does not allow at all become U+FFFD.
    static func escaped(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": output += "&amp;"
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "\"": output += "&quot;"
            case "'": output += "&#39;"
            case "\t", "\n", "\r": output.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}":
                output += "\u{FFFD}"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output
    }

    private static let void: Set<String> = ["meta", "br", "hr", "col"]
    /// Followed by a line break, for whoever reads the source.
    private static let blocks: Set<String> = [
        "head", "meta", "title", "style", "header", "section", "figure", "svg", "g", "p", "h1",
        "h2", "h3", "tr", "table", "details", "div", "ul", "footer", "rect", "path", "circle",
    ]
}
