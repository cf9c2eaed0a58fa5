import Artifacts

/// How a model writes the text that its draft learns from: windows begin as the corpus has them and go on as the model does.
///
/// What a draft will have to guess is the model's own text, which is easier to guess than what people wrote.
package struct Regeneration: Sendable, Equatable {
    /// Tokens of a window that stay the corpus' own.
    package var promptTokens = 64
    /// Of the draws; 0 takes the likeliest token.
    package var temperature = 0.0

    package init() {}

    /// What a run that goes on must agree in.
    package var journal: JSONValue {
        .object([
            "prompt-tokens": .integer(promptTokens), "temperature": .string("\(temperature)"),
        ])
    }
}
