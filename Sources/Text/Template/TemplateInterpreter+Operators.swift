/// Truth, equality, order and arithmetic, as Python has them.
extension TemplateInterpreter {
    func isTrue(_ value: TemplateValue) throws(TemplateFault) -> Bool {
        switch value {
        case .undefined, .none: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .float(let value): value != 0
        case .string(let text): !text.isEmpty
        case .list(let list): !list.elements.isEmpty
        case .dictionary(let dictionary): dictionary.count > 0
        case .large, .namespace, .generator, .function, .loop: true
        }
    }

    func compare(
        _ comparison: TemplateExpression.Comparison, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateFault) -> Bool {
        switch comparison {
        case .equal: try areEqual(left, right)
        case .notEqual: try !areEqual(left, right)
        case .less: try isLess(left, right)
        case .greater: try isLess(right, left)
        case .lessOrEqual: try isLess(left, right, orEqual: true)
        case .greaterOrEqual: try isLess(right, left, orEqual: true)
        case .contained: try contains(right, left)
        case .notContained: try !contains(right, left)
        }
    }

    func areEqual(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateFault) -> Bool {
        try charge()
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let left), .string(let right)):
            if left.bytes.count == right.bytes.count { try charge(left.bytes.count / 16) }
            return left == right
        case (.large(let left), .large(let right)): return left == right
        case (.list(let left), .list(let right)):
            guard left.kind == right.kind, left.elements.count == right.elements.count else {
                return false
            }
            for (left, right) in zip(left.elements, right.elements)
            where try !areEqual(left, right) {
                return false
            }
            return true
        case (.dictionary(let left), .dictionary(let right)):
            guard left.count == right.count else { return false }
            for (key, value) in left.entries {
                guard let other = try right.value(of: key), try areEqual(value, other) else {
                    return false
                }
            }
            return true
        case (.namespace(let left), .namespace(let right)): return left === right
        case (.generator(let left), .generator(let right)): return left === right
        case (.function(let left), .function(let right)): return left === right
        case (.loop(let left), .loop(let right)): return left === right
        default:
            if let left = left.integer, let right = right.integer { return left == right }
            if let left = left.number, let right = right.number { return left == right }
            return false
        }
    }

    func isLess(
        _ left: TemplateValue, _ right: TemplateValue, orEqual: Bool = false
    ) throws(TemplateFault) -> Bool {
        try charge()
        switch (left, right) {
        case (.string(let left), .string(let right)):
            try charge(min(left.bytes.count, right.bytes.count) / 16)
            return orEqual ? !(right < left) : left < right
        case (.list(let first), .list(let second))
        where first.kind == second.kind && first.kind != .view:
            for (left, right) in zip(first.elements, second.elements)
            where try !areEqual(left, right) {
                return try isLess(left, right, orEqual: orEqual)
            }
            let (left, right) = (first.elements.count, second.elements.count)
            return orEqual ? left <= right : left < right
        case (.undefined(let undefined), _), (_, .undefined(let undefined)): throw undefined.fault
        default:
            if let left = left.integer, let right = right.integer {
                return orEqual ? left <= right : left < right
            }
            guard let first = left.number, let second = right.number else {
                throw .type("a \(left.typeName) and a \(right.typeName) have no order")
            }
            return orEqual ? first <= second : first < second
        }
    }

    func contains(
        _ container: TemplateValue, _ value: TemplateValue
    ) throws(TemplateFault) -> Bool {
        switch container {
        case .string(let text):
            guard case .string(let part) = value else {
                throw .type("'in' a string needs a string, not \(value.typeName)")
            }
            try charge(text.bytes.count / 16)
            return text.find(part.bytes) != nil
        case .dictionary(let dictionary):
            if case .undefined = value { return false }
            return try dictionary.value(of: value) != nil
        case .int, .float, .bool, .none, .large, .function, .namespace:
            throw .type("'in' needs something with elements, not a \(container.typeName)")
        default:
            for element in try elements(of: container) where try areEqual(element, value) {
                return true
            }
            return false
        }
    }

    // MARK: Arithmetic

    func negated(_ value: TemplateValue) throws(TemplateFault) -> TemplateValue {
        switch value {
        case .float(let number): return .float(-number)
        case .undefined(let undefined): throw undefined.fault
        default:
            guard let integer = value.integer else {
                throw .type("a \(value.typeName) has no negative")
            }
            return .int(try whole(Int(0).subtractingReportingOverflow(integer)))
        }
    }

    func positive(_ value: TemplateValue) throws(TemplateFault) -> TemplateValue {
        switch value {
        case .float: return value
        case .undefined(let undefined): throw undefined.fault
        default:
            guard let integer = value.integer else {
                throw .type("'+' before a \(value.typeName)")
            }
            return .int(integer)
        }
    }

    func combine(
        _ operation: TemplateExpression.Operation, _ left: TemplateValue, _ right: TemplateValue
    ) throws(TemplateFault) -> TemplateValue {
        if case .undefined(let undefined) = left { throw undefined.fault }
        if case .undefined(let undefined) = right { throw undefined.fault }
        if let left = left.integer, let right = right.integer {
            return try combine(operation, left, right)
        }
        if let left = left.number, let right = right.number {
            return .float(try combine(operation, left, right))
        }
        switch (operation, left, right) {
        case (.add, .string(let left), .string(let right)):
            return .string(try joined(left, right))
        case (.add, .list(let first), .list(let second))
        where first.kind == second.kind && first.kind != .view:
            try charge(first.elements.count + second.elements.count)
            return .list(try TemplateList(first.elements + second.elements, kind: first.kind))
        case (.multiply, _, _):
            if let count = right.integer { return try repeated(left, count) }
            if let count = left.integer { return try repeated(right, count) }
        case (.modulo, .string(let format), _): return try formatted(format, right)
        default: break
        }
        throw .type("the operation is not possible with a \(left.typeName) and a \(right.typeName)")
    }

    /// Markup escapes what is added to it.
    private func joined(
        _ left: TemplateText, _ right: TemplateText
    ) throws(TemplateFault) -> TemplateText {
        guard left.bytes.count + right.bytes.count <= limits.bytes else {
            throw .limit("a text of more than \(limits.bytes) bytes")
        }
        let isMarkup = left.isMarkup || right.isMarkup
        var result = isMarkup && !left.isMarkup ? left.escaped : left
        result.append(isMarkup && !right.isMarkup ? right.escaped : right)
        result.isMarkup = isMarkup
        return result
    }

    private func repeated(
        _ value: TemplateValue, _ count: Int
    ) throws(TemplateFault) -> TemplateValue {
        switch value {
        case .string(let text):
            let (size, overflow) = text.bytes.count.multipliedReportingOverflow(by: max(count, 0))
            guard !overflow, size <= limits.bytes else {
                throw .limit("a text of more than \(limits.bytes) bytes")
            }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(size)
            if size > 0 { for _ in 0..<count { bytes.append(contentsOf: text.bytes) } }
            return .string(TemplateText(bytes: bytes))
        case .list(let list) where list.kind != .view:
            let (size, overflow) = list.elements.count.multipliedReportingOverflow(
                by: max(count, 0))
            guard !overflow, size <= limits.elements else {
                throw .limit("a list of more than \(limits.elements) elements")
            }
            var elements: [TemplateValue] = []
            if size > 0 { for _ in 0..<count { elements += list.elements } }
            return .list(try TemplateList(elements, kind: list.kind))
        default: throw .type("a \(value.typeName) cannot be repeated")
        }
    }

    private func whole(_ result: (partialValue: Int, overflow: Bool)) throws(TemplateFault) -> Int {
        guard !result.overflow else { throw .limit("an integer of more than 64 bits") }
        return result.partialValue
    }

    private func combine(
        _ operation: TemplateExpression.Operation, _ left: Int, _ right: Int
    ) throws(TemplateFault) -> TemplateValue {
        switch operation {
        case .add: return .int(try whole(left.addingReportingOverflow(right)))
        case .subtract: return .int(try whole(left.subtractingReportingOverflow(right)))
        case .multiply: return .int(try whole(left.multipliedReportingOverflow(by: right)))
        case .divide:
            guard right != 0 else { throw .type("division by zero") }
            return .float(Double(left) / Double(right))
        case .floorDivide, .modulo:
            guard right != 0 else { throw .type("division by zero") }
            let quotient = try whole(left.dividedReportingOverflow(by: right))
            let rest = left - quotient * right
            // Python rounds down, Swift towards zero.
            let isBelow = rest != 0 && (rest < 0) != (right < 0)
            if operation == .modulo { return .int(isBelow ? rest + right : rest) }
            return .int(isBelow ? quotient - 1 : quotient)
        case .power:
            guard right >= 0 else { return .float(power(Double(left), Double(right))) }
            var result = 1
            var factor = left
            var exponent = right
            while exponent > 0 {
                if exponent & 1 == 1 {
                    result = try whole(result.multipliedReportingOverflow(by: factor))
                }
                exponent >>= 1
                if exponent > 0 {
                    factor = try whole(factor.multipliedReportingOverflow(by: factor))
                }
            }
            return .int(result)
        }
    }

    private func combine(
        _ operation: TemplateExpression.Operation, _ left: Double, _ right: Double
    ) throws(TemplateFault) -> Double {
        switch operation {
        case .add: return left + right
        case .subtract: return left - right
        case .multiply: return left * right
        case .power: return power(left, right)
        case .divide, .floorDivide, .modulo:
            guard right != 0 else { throw .type("division by zero") }
            if operation == .divide { return left / right }
            var rest = left.truncatingRemainder(dividingBy: right)
            if rest != 0, (rest < 0) != (right < 0) { rest += right }
            return operation == .modulo ? rest : ((left - rest) / right).rounded()
        }
    }
}
