/// Why a JSON schema cannot be compiled, and where in it (a JSON pointer).
package struct SchemaError: Error, Equatable, CustomStringConvertible {
    package enum Fault: Equatable, Sendable {
        /// No JSON, or no schema.
        case malformed(String)
        /// A keyword, or a combination of keywords, that is not implemented.
        case unsupported(String)
        /// Nothing satisfies the schema.
        case unsatisfiable(String)
        /// Too large, too deep, too many.
        case limit(String)
    }

    package let fault: Fault
    package let pointer: String

    package var description: String {
        let cause =
            switch fault {
            case .malformed(let cause), .unsupported(let cause), .unsatisfiable(let cause),
                .limit(let cause):
                cause
            }
        return "schema at '\(pointer.isEmpty ? "#" : "#" + pointer)': \(cause)"
    }
}

/// What a schema may ask for at most.
enum SchemaLimits {
    static let bytes = 1 << 20
    static let states = 200_000
    /// Of `minLength`, `maxItems` and their like.
    static let count = 100_000
    /// Of a pattern: bytes, and states after repetitions are written out.
    static let patternBytes = 2_000
    static let patternStates = 20_000
    static let enumValues = 10_000
    /// Blanks that the automaton lets a model write between two tokens of JSON: a line's end and five levels of four
    /// blanks, with some to spare. A model that does not know how to go on writes as many as it may.
    static let blanks = 24
    /// Levels of objects and arrays in what is generated.
    static let nesting = 48
    /// Digits of an integer, and of a fraction: finite, and exact in 64 bits.
    static let digits = 18
}
