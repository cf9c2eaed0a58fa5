/// Variables by name; what is not found is looked for in the scope around it.
final class TemplateScope {
    var values: [String: TemplateValue] = [:]
    let parent: TemplateScope?

    init(in parent: TemplateScope? = nil) { self.parent = parent }

    func value(of name: String) -> TemplateValue? {
        var scope: TemplateScope? = self
        while let here = scope {
            if let value = here.values[name] { return value }
            scope = here.parent
        }
        return nil
    }
}

/// The variable `loop`.
package final class TemplateLoop {
    let elements: [TemplateValue]
    /// Of the loops that a recursive one called, counted from 0.
    let level: Int
    let depth: Int
    var index = 0
    /// What `changed` was last given.
    var lastChecked: [TemplateValue]?
    /// Runs the loop's body over other elements; nil where the loop is not recursive.
    let recursion: TemplateFunction?

    init(
        _ elements: [TemplateValue], level: Int, recursion: TemplateFunction?
    ) throws(TemplateFault) {
        depth = try TemplateList.depth(of: elements)
        self.elements = elements
        self.level = level
        self.recursion = recursion
    }

    func attribute(_ name: String) -> TemplateValue? {
        switch name {
        case "index": .int(index + 1)
        case "index0": .int(index)
        case "revindex": .int(elements.count - index)
        case "revindex0": .int(elements.count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index == elements.count - 1)
        case "length": .int(elements.count)
        case "depth": .int(level + 1)
        case "depth0": .int(level)
        case "previtem":
            index > 0
                ? elements[index - 1] : .undefined(.init(message: "there is no previous item"))
        case "nextitem":
            index + 1 < elements.count
                ? elements[index + 1] : .undefined(.init(message: "there is no next item"))
        default: nil
        }
    }
}
