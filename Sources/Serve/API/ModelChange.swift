import NIOCore
import Text

/// /admin/model: which model answers.
enum ModelChange {
    static func choice(_ body: JSON) throws(APIError) -> ModelChoice {
        var fields = try FieldReader(body)
        guard let name = try fields.string("use") else {
            throw .invalid("`use` is missing.", param: "use")
        }
        try fields.finish()
        guard let choice = ModelChoice(rawValue: name) else {
            throw .invalid(
                "`use` must be compressed or dense, not \(name.quotedForMessage).", param: "use")
        }
        return choice
    }

    static func write(
        _ model: ServedModel, _ state: ModelExchange.State, to buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("{\"model\":")
        buffer.writeJSON(model.name)
        buffer.writeString(",\"active\":\"\(state.active.rawValue)\"}")
    }
}
