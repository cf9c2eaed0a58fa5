import Text

/// What the server knows of the model, beside its engine.
package struct ServedModel: Sendable {
    /// A conversation to be put into the words of the model's template.
    package struct Conversation: Sendable {
        /// Objects with `role` and `content`, as the client sent them; contents are strings.
        package var messages: [JSON]
        /// As the client sent them.
        package var tools: [JSON]
        package var addGenerationPrompt: Bool
    }

    /// The name that clients call it by.
    package let name: String
    package let tokenizer: Tokenizer
    package let contextLength: Int
    /// Of the model; ids below it can be computed with.
    package let vocabularySize: Int
    /// Tokens that the cache has room for.
    package let cacheTokens: Int
    /// What an empty prompt starts from.
    package let beginToken: Int?
    /// Seconds since 1970.
    package let created: Int

    /// The text that the model is to continue. Its control tokens are those of the template: texts of clients cannot
    /// forge them.
    package var render: (@Sendable (Conversation) throws -> String)?
    /// Turns a `response_format` into what an answer may consist of.
    package var constrain: (@Sendable (JSON) throws -> any TokenConstraint)?
    /// How the model writes a call of a tool; `nil` where it is not known, and calls stay text.
    package var toolCallMarks: ToolCallMarks?
    /// Holds an answer to one call: an object of a schema between the marks.
    package var constrainCall: (@Sendable (JSON, ToolCallMarks) throws -> any TokenConstraint)?

    package init(
        name: String, tokenizer: Tokenizer, contextLength: Int, vocabularySize: Int,
        cacheTokens: Int, beginToken: Int? = nil, created: Int = 0
    ) {
        (self.name, self.tokenizer) = (name, tokenizer)
        (self.contextLength, self.vocabularySize) = (contextLength, vocabularySize)
        (self.cacheTokens, self.beginToken) = (cacheTokens, beginToken)
        self.created = created
        specialTexts = tokenizer.specialTexts
    }

    let specialTexts: [String]

    /// Tokens that prompt and answer may have together.
    var capacity: Int { min(contextLength, cacheTokens) }
}
