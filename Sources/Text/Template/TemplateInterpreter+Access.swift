/// Names, attributes, items and slices.
extension TemplateInterpreter {
    func value(of name: String) -> TemplateValue {
        scope.value(of: name) ?? Self.globals[name].map { .function($0) }
            ?? .undefined(.init(message: "'\(name)' is undefined"))
    }

    /// `value.name`: a method first, as in Python, then a key.
    func attribute(
        _ name: String, of value: TemplateValue
    ) throws(TemplateFault) -> TemplateValue {
        if let found = try attributeAlone(name, of: value) { return found }
        if case .dictionary(let dictionary) = value, let found = dictionary[TemplateText(name)] {
            return found
        }
        return missing("attribute '\(name)'", of: value)
    }

    /// `value[key]`: a key or an index first, then a method.
    func item(
        _ key: TemplateValue, of value: TemplateValue
    ) throws(TemplateFault) -> TemplateValue {
        switch value {
        case .undefined(let undefined): throw undefined.fault
        case .dictionary(let dictionary):
            if case .undefined = key { break }
            if case .list = key { break }
            if case .dictionary = key { break }
            if let found = try dictionary.value(of: key) { return found }
        case .list(let list) where list.kind != .view:
            if let index = place(key, in: list.elements.count) { return list.elements[index] }
        case .string(let text):
            try charge(text.bytes.count / 16)
            if let index = key.integer {
                let count = text.count
                let place = index < 0 ? index + count : index
                if place >= 0, place < count { return .string(text.slice(place..<place + 1)) }
            }
        default: break
        }
        if case .string(let name) = key,
            let found = try attributeAlone(name.string, of: value)
        {
            return found
        }
        let printable: TemplateText
        if case .string(let name) = key {
            printable = name
        } else {
            printable = key.integer.map { TemplateText(String($0)) } ?? TemplateText("…")
        }
        return missing("element '\(printable.string)'", of: value)
    }

    private func place(_ key: TemplateValue, in count: Int) -> Int? {
        guard let index = key.integer else { return nil }
        let place = index < 0 ? index + count : index
        return place >= 0 && place < count ? place : nil
    }

    /// An attribute that is no key: of a namespace or a loop, or a method.
    private func attributeAlone(
        _ name: String, of value: TemplateValue
    ) throws(TemplateFault) -> TemplateValue? {
        switch value {
        case .undefined(let undefined): throw undefined.fault
        case .namespace(let namespace):
            if let found = namespace.values[name] { return found }
        case .loop(let loop):
            if let found = loop.attribute(name) { return found }
        default: break
        }
        if Self.hasMethod(name, value) {
            return .function(
                TemplateFunction(name, depth: value.depth + 1) {
                    (interpreter, arguments) throws(TemplateFault) in
                    try interpreter.call(name, of: value, arguments)
                })
        }
        if name.hasPrefix("__") || Self.isUnsafe(name, value) {
            return .undefined(
                .init(
                    message: "access to attribute '\(name)' of a \(value.typeName) is not allowed",
                    isUnsafe: true))
        }
        return nil
    }

    private func missing(_ what: String, of value: TemplateValue) -> TemplateValue {
        .undefined(.init(message: "a \(value.typeName) has no \(what)"))
    }

    // MARK: Slices

    func evaluate(
        slice bounds: [TemplateExpression?], of base: TemplateExpression
    ) throws(TemplateFault) -> TemplateValue {
        let value = try evaluate(base)
        var places: [Int?] = []
        for bound in bounds {
            guard let bound else {
                places.append(nil)
                continue
            }
            let place = try evaluate(bound)
            places.append(place.isNone ? nil : try place.expectInteger("a bound of a slice"))
        }
        switch value {
        case .undefined(let undefined): throw undefined.fault
        case .string(let text):
            let indices = try Self.indices(places, count: text.count)
            return try charged(.string(text.slice(indices)))
        case .list(let list) where list.kind != .view:
            let indices = try Self.indices(places, count: list.elements.count)
            try charge(indices.underestimatedCount)
            return try charged(
                .list(try TemplateList(indices.map { list.elements[$0] }, kind: list.kind)))
        default: return missing("slices", of: value)
        }
    }

    /// The indices of a slice, as Python counts them.
    private static func indices(
        _ bounds: [Int?], count: Int
    ) throws(TemplateFault) -> StrideTo<Int> {
        let step = bounds[2] ?? 1
        guard step != 0 else { throw .type("the step of a slice cannot be 0") }
        func clamped(_ bound: Int?, _ standard: Int) -> Int {
            guard let bound else { return standard }
            let place = bound < 0 ? max(bound, -count - 1) + count : bound
            return step > 0 ? min(max(place, 0), count) : min(max(place, -1), count - 1)
        }
        let start = clamped(bounds[0], step > 0 ? 0 : count - 1)
        let end = clamped(bounds[1], step > 0 ? count : -1)
        // A stride may not run over the end of the integers.
        return stride(from: start, to: end, by: min(max(step, -count - 1), count + 1))
    }

    // MARK: Elements

    /// What a loop goes through.
    func elements(of value: TemplateValue) throws(TemplateFault) -> [TemplateValue] {
        switch value {
        case .list(let list):
            try charge(list.elements.count)
            return list.elements
        case .dictionary(let dictionary):
            try charge(dictionary.count)
            return dictionary.entries.map(\.key)
        case .string(let text):
            try charge(text.bytes.count)
            return text.scalars.map { .string(TemplateText(CollectionOfOne($0))) }
        case .generator(let generator):
            let rest = generator.rest()
            try charge(rest.count)
            return rest
        case .loop(let loop):
            return Array(loop.elements[min(loop.index + 1, loop.elements.count)...])
        case .undefined: return []
        default: throw .type("a \(value.typeName) has no elements to go through")
        }
    }
}
