import Text

/// The tools that a chat has, and which of them the model must call.
struct ToolChoice {
    /// As the client sent them; none where none may be called.
    var tools: [JSON] = []
    /// Those of which one must be called; none where nothing must be.
    var forced: [JSON] = []

    static let mostTools = 128

    init(_ fields: inout FieldReader) throws(APIError) {
        let given = try fields.array("tools", atMost: Self.mostTools) ?? []
        for tool in given {
            guard tool["type"] == .string("function"), let name = tool["function"]?["name"]?.string,
                !name.isEmpty
            else {
                throw .invalid(
                    "Each of `tools` must be of type function and have a function with a name.",
                    param: "tools")
            }
        }
        tools = given
        switch fields.value("tool_choice") {
        case nil, .string("auto"): break
        case .string("none"): tools = []
        case .string("required"):
            guard !given.isEmpty else {
                throw .invalid("`tool_choice` required needs `tools`.", param: "tool_choice")
            }
            forced = given
        case .some(let choice):
            guard choice["type"] == .string("function"),
                let name = choice["function"]?["name"]?.string
            else {
                throw .invalid(
                    "`tool_choice` must be auto, none, required or name a function.",
                    param: "tool_choice")
            }
            forced = given.filter { $0["function"]?["name"]?.string == name }
            guard !forced.isEmpty else {
                throw .invalid(
                    "`tool_choice` names `\(name.quotedForMessage)`, which is none of `tools`.",
                    param: "tool_choice")
            }
        }
    }

    /// What the answer may consist of: one call of a forced tool. `nil` where nothing must be called.
    func constraint(_ model: ServedModel) throws(APIError) -> (any TokenConstraint)? {
        guard !forced.isEmpty else { return nil }
        guard let marks = model.toolCallMarks, let constrain = model.constrainCall else {
            throw .invalid(
                "`tool_choice` other than auto and none is not supported: the model's template does not say how it writes a call.",
                param: "tool_choice")
        }
        do {
            return try constrain(schema, marks)
        } catch {
            throw .invalid("`tools` cannot be used: \(error)", param: "tools")
        }
    }

    /// Of the object that stands between a call's marks.
    private var schema: JSON {
        func object(_ members: [(String, JSON)]) -> JSON {
            .object(members.map { .init(key: $0.0, value: $0.1) })
        }
        let calls = forced.enumerated().map { index, tool in
            let place = "#/anyOf/\(index)/properties/arguments"
            let parameters =
                tool["function"]?["parameters"]?.movingReferences(to: place)
                ?? object([("type", .string("object"))])
            return object([
                ("type", .string("object")),
                (
                    "properties",
                    object([
                        ("name", object([("const", tool["function"]?["name"] ?? .null)])),
                        ("arguments", parameters),
                    ])
                ),
                ("required", .array([.string("name"), .string("arguments")])),
                ("additionalProperties", .bool(false)),
            ])
        }
        return object([("anyOf", .array(calls))])
    }
}

extension JSON {
    /// A schema whose references to its own root still hold where it is a part of another one.
    fileprivate func movingReferences(to place: String) -> JSON {
        switch self {
        case .null, .bool, .number, .string: return self
        case .array(let elements): return .array(elements.map { $0.movingReferences(to: place) })
        case .object(let members):
            return .object(
                members.map { member in
                    guard member.key == "$ref", let name = member.value.string,
                        name.hasPrefix("#")
                    else {
                        return .init(
                            key: member.key, value: member.value.movingReferences(to: place))
                    }
                    return .init(key: member.key, value: .string(place + name.dropFirst()))
                })
        }
    }
}
