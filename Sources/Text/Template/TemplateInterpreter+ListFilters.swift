/// Filters that go through the elements of a value.
extension TemplateInterpreter {
    static let listFilters: Set<String> = [
        "attr", "batch", "dictsort", "first", "groupby", "items", "join", "last", "list", "map",
        "max",
        "min", "reject", "rejectattr", "reverse", "select", "selectattr", "slice", "sort", "sum",
        "unique",
    ]

    func filterList(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        switch name {
        case "list":
            _ = try arguments.bind([], of: name)
            return try .list(try elements(of: value))
        case "first", "last": return try end(name, value)
        case "items":
            if value.isUndefined { return try generator([]) }
            guard case .dictionary(let dictionary) = value else {
                throw .type("'items' needs a dict, not a \(value.typeName)")
            }
            return try generator(try pairs(of: dictionary))
        case "reverse": return try reverse(value)
        case "join": return try join(value, arguments)
        case "map": return try map(value, arguments)
        case "select", "reject", "selectattr", "rejectattr":
            return try select(name, value, arguments)
        case "sort", "min", "max", "unique", "sum": return try order(name, value, arguments)
        case "dictsort": return try sortDictionary(value, arguments)
        case "groupby": return try group(value, arguments)
        case "batch", "slice": return try cut(name, value, arguments)
        case "attr":
            let key = try arguments.bind(["name"], required: 1, of: name)[0] ?? .none
            let name = try key.expectText("the name of an attribute").string
            if case .dictionary = value, !Self.hasMethod(name, value) {
                return .undefined(.init(message: "a dict has no attribute '\(name)'"))
            }
            return try attribute(name, of: value)
        default: throw .unsupported("the filter '\(name)'")
        }
    }

    private func generator(_ elements: [TemplateValue]) throws(TemplateFault) -> TemplateValue {
        .generator(try TemplateGenerator(elements))
    }

    private func end(_ name: String, _ value: TemplateValue) throws(TemplateFault) -> TemplateValue
    {
        let none = TemplateValue.undefined(.init(message: "'\(name)' of nothing"))
        switch value {
        case .generator(let generator) where name == "first": return generator.next() ?? none
        case .generator: throw .type("a generator has no last element")
        default:
            let elements = try elements(of: value)
            return (name == "first" ? elements.first : elements.last) ?? none
        }
    }

    private func reverse(_ value: TemplateValue) throws(TemplateFault) -> TemplateValue {
        if case .string(let text) = value { return .string(TemplateText(text.scalars.reversed())) }
        return try generator(try elements(of: value).reversed())
    }

    private func join(
        _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["d", "attribute"], of: "join")
        let separator = try text(of: bound[0] ?? .text(""))
        var printer = TemplatePrinter(limit: limits.bytes)
        for (index, element) in try elements(of: value).enumerated() {
            if index > 0 { try printer.write(separator.bytes) }
            let part = try bound[1].map { (path) throws(TemplateFault) in
                try follow(path, from: element)
            }
            try printer.print(part ?? element)
        }
        return .string(TemplateText(bytes: printer.output))
    }

    /// The value behind a path such as "function.name" or "0".
    private func follow(
        _ path: TemplateValue, from start: TemplateValue
    ) throws(TemplateFault) -> TemplateValue {
        if path.isNone { return start }
        guard case .string(let path) = path else { return try item(path, of: start) }
        var value = start
        for part in path.string.split(separator: ".", omittingEmptySubsequences: false) {
            let key = Int(part).flatMap { $0 >= 0 ? TemplateValue.int($0) : nil }
            value = try item(key ?? .text(String(part)), of: value)
        }
        return value
    }

    private func map(
        _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        var arguments = arguments
        var results: [TemplateValue] = []
        if arguments.positional.isEmpty,
            let path = arguments.named.first(where: { $0.name == "attribute" })?.value
        {
            let standard = arguments.named.first { $0.name == "default" }?.value
            for element in try elements(of: value) {
                let found = try follow(path, from: element)
                results.append(found.isUndefined ? standard ?? found : found)
            }
            return try generator(results)
        }
        guard !arguments.positional.isEmpty else { throw .type("'map' needs a filter's name") }
        let name = try arguments.positional.removeFirst().expectText("a filter's name").string
        guard name != "map" else { throw .unsupported("'map' of 'map'") }
        for element in try elements(of: value) {
            results.append(try charged(try filter(name, element, arguments)))
        }
        return try generator(results)
    }

    private func select(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        var arguments = arguments
        var path: TemplateValue?
        if name.hasSuffix("attr") {
            guard !arguments.positional.isEmpty else { throw .type("'\(name)' needs a name") }
            path = arguments.positional.removeFirst()
        }
        var test: String?
        if !arguments.positional.isEmpty {
            test = try arguments.positional.removeFirst().expectText("a test's name").string
        }
        var kept: [TemplateValue] = []
        for element in try elements(of: value) {
            let tested = try path.map { (path) throws(TemplateFault) in
                try follow(path, from: element)
            }
            let holds: Bool
            if let test {
                holds = try self.test(test, tested ?? element, arguments)
            } else {
                holds = try isTrue(tested ?? element)
            }
            if holds == name.hasPrefix("select") { kept.append(element) }
        }
        return try generator(kept)
    }

    // MARK: Order

    private func order(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let parameters =
            name == "sort"
            ? ["reverse", "case_sensitive", "attribute"]
            : name == "sum" ? ["attribute", "start"] : ["case_sensitive", "attribute"]
        let bound = try arguments.bind(parameters, of: name)
        let path = bound[name == "sum" ? 0 : parameters.count - 1]
        let elements = try elements(of: value)
        if name == "sum" { return try sum(elements, path, from: bound[1] ?? .int(0)) }
        let isSensitive = try isTrue(bound[parameters.count - 2] ?? .bool(false))
        var keyed: [(key: TemplateValue, element: TemplateValue)] = []
        for element in elements {
            keyed.append((try key(of: element, path, isSensitive: isSensitive), element))
        }
        switch name {
        case "unique": return try generator(try unique(keyed))
        case "min", "max":
            guard var best = keyed.first else {
                return .undefined(.init(message: "'\(name)' of nothing"))
            }
            for candidate in keyed.dropFirst() {
                let (low, high) =
                    name == "min" ? (candidate.key, best.key) : (best.key, candidate.key)
                let isBetter = try isLess(low, high)
                if isBetter { best = candidate }
            }
            return best.element
        default:
            return try .list(
                try sorted(keyed, descending: try isTrue(bound[0] ?? .bool(false))))
        }
    }

    private func key(
        of element: TemplateValue, _ path: TemplateValue?, isSensitive: Bool
    ) throws(TemplateFault) -> TemplateValue {
        let found = try path.map { (path) throws(TemplateFault) in
            try follow(path, from: element)
        }
        let key = found ?? element
        guard !isSensitive, case .string(let text) = key else { return key }
        return .string(text.lowercased)
    }

    /// A stable merge sort, whose comparisons may fail.
    private func sorted(
        _ keyed: [(key: TemplateValue, element: TemplateValue)], descending: Bool
    ) throws(TemplateFault) -> [TemplateValue] {
        var runs = keyed.map { [$0] }
        while runs.count > 1 {
            var merged: [[(key: TemplateValue, element: TemplateValue)]] = []
            for start in stride(from: 0, to: runs.count, by: 2) {
                guard start + 1 < runs.count else {
                    merged.append(runs[start])
                    continue
                }
                var left = runs[start][...]
                var right = runs[start + 1][...]
                var result: [(key: TemplateValue, element: TemplateValue)] = []
                while let first = left.first, let second = right.first {
                    let (low, high) =
                        descending ? (first.key, second.key) : (second.key, first.key)
                    let takesRight = try isLess(low, high)
                    result.append(takesRight ? right.removeFirst() : left.removeFirst())
                }
                merged.append(result + left + right)
            }
            runs = merged
        }
        return runs.first?.map(\.element) ?? []
    }

    private func unique(
        _ keyed: [(key: TemplateValue, element: TemplateValue)]
    ) throws(TemplateFault) -> [TemplateValue] {
        var seen: Set<TemplateDictionary.Key> = []
        var kept: [TemplateValue] = []
        for (key, element) in keyed where seen.insert(try TemplateDictionary.Key(key)).inserted {
            kept.append(element)
        }
        return kept
    }

    private func sum(
        _ elements: [TemplateValue], _ path: TemplateValue?, from start: TemplateValue
    ) throws(TemplateFault) -> TemplateValue {
        var total = start
        for element in elements {
            let part = try path.map { (path) throws(TemplateFault) in
                try follow(path, from: element)
            }
            total = try charged(try combine(.add, total, part ?? element))
        }
        return total
    }

    private func sortDictionary(
        _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(["case_sensitive", "by", "reverse"], of: "dictsort")
        guard case .dictionary(let dictionary) = value else {
            throw .type("'dictsort' needs a dict, not a \(value.typeName)")
        }
        let isByValue = try bound[1].text("by")?.string == "value"
        let isSensitive = try isTrue(bound[0] ?? .bool(false))
        var keyed: [(key: TemplateValue, element: TemplateValue)] = []
        for (key, value) in dictionary.entries {
            let sorted = try self.key(
                of: isByValue ? value : key, nil, isSensitive: isSensitive)
            keyed.append((sorted, try .tuple([key, value])))
        }
        return try .list(try sorted(keyed, descending: try isTrue(bound[2] ?? .bool(false))))
    }

    /// Pairs of a key and the elements that have it, in the order of the keys.
    private func group(
        _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(
            ["attribute", "default", "case_sensitive"], required: 1, of: "groupby")
        let path = bound[0] ?? .none
        var keyed: [(key: TemplateValue, element: TemplateValue)] = []
        for element in try elements(of: value) {
            let found = try follow(path, from: element)
            let key = found.isUndefined ? bound[1] ?? found : found
            let isSensitive = try isTrue(bound[2] ?? .bool(false))
            keyed.append((try self.key(of: key, nil, isSensitive: isSensitive), .none))
            keyed[keyed.count - 1].element = try .tuple([key, element])
        }
        var groups: [(sortedBy: TemplateValue, key: TemplateValue, elements: [TemplateValue])] = []
        let order = try sorted(keyed, descending: false)
        for case .list(let pair) in order {
            let (key, element) = (pair.elements[0], pair.elements[1])
            let sortedBy = try self.key(
                of: key, nil, isSensitive: try isTrue(bound[2] ?? .bool(false)))
            if let last = groups.last, try areEqual(last.sortedBy, sortedBy) {
                groups[groups.count - 1].elements.append(element)
            } else {
                groups.append((sortedBy, key, [element]))
            }
        }
        var result: [TemplateValue] = []
        for group in groups { result.append(try .tuple([group.key, try .list(group.elements)])) }
        return try .list(result)
    }

    /// `batch`: lists of so many elements; `slice`: so many lists.
    private func cut(
        _ name: String, _ value: TemplateValue, _ arguments: TemplateArguments
    ) throws(TemplateFault) -> TemplateValue {
        let bound = try arguments.bind(
            [name == "batch" ? "linecount" : "slices", "fill_with"], required: 1, of: name)
        let count = try (bound[0] ?? .none).expectInteger("the count")
        guard (1...Self.longestRange).contains(count) else {
            throw .type("'\(name)' by \(count)")
        }
        let elements = try elements(of: value)
        let fill = bound[1].flatMap { $0.isNone ? nil : $0 }
        var parts: [TemplateValue] = []
        if name == "batch" {
            for start in stride(from: 0, to: elements.count, by: count) {
                var part = Array(elements[start..<min(start + count, elements.count)])
                if let fill { part += Array(repeating: fill, count: count - part.count) }
                try charge(part.count)
                parts.append(try .list(part))
            }
        } else {
            try charge(count)
            let (size, longer) = elements.count.quotientAndRemainder(dividingBy: count)
            var start = 0
            for index in 0..<count {
                let end = start + size + (index < longer ? 1 : 0)
                var part = Array(elements[start..<end])
                if let fill, index >= longer { part.append(fill) }
                parts.append(try .list(part))
                start = end
            }
        }
        return try generator(parts)
    }
}
