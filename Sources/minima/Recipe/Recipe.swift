import Foundation

/// What `minima run` is asked for: one YAML file, whose keys are the options of the stages' commands.
///
/// Reading it is strict: an unknown key, a key that stands twice, another type and a file that does not exist are
/// refused with their line. Paths are relative to the recipe's folder.
struct Recipe {
    /// As it was named.
    let file: String
    let model: RecipeValue
    let output: RecipeValue?
    private let sections: [RecipePart: Section]

    struct Section {
        let line: Int
        let values: [RecipeValue]
    }

    init(_ path: String) throws {
        let reader = try RecipeReader(path)
        var (model, output): (RecipeValue?, RecipeValue?) = (nil, nil)
        var sections: [RecipePart: Section] = [:]
        for entry in try reader.entries() {
            switch entry.key {
            case RecipePart.model.name: model = try reader.value(entry, RecipePart.model)
            case RecipePart.output.name: output = try reader.value(entry, RecipePart.output)
            default:
                guard let part = RecipePart(rawValue: entry.key) else {
                    throw reader.unknown(
                        entry, in: nil,
                        known: ["model", "output"] + RecipePart.allCases.map(\.rawValue))
                }
                sections[part] = try reader.section(entry, part)
            }
        }
        guard let model else { throw RecipeError.missing(file: path, key: "model") }
        for part in RecipePart.required where sections[part] == nil {
            throw RecipeError.missing(file: path, key: part.rawValue)
        }
        if let heal = sections[.heal], !heal.values.contains(where: { $0.key.name == "corpus" }) {
            throw RecipeError.missing(file: path, key: "heal.corpus")
        }
        (file, self.model, self.output, self.sections) = (path, model, output, sections)
        try requireFiles()
    }

    var heals: Bool { sections[.heal] != nil }

    /// The values of some parts, in the parts' order.
    func values(_ parts: RecipePart...) -> [RecipeValue] {
        parts.flatMap { sections[$0]?.values ?? [] }
    }

    /// What the parts say, as the commands take it.
    func arguments(_ parts: RecipePart...) -> [String] {
        parts.flatMap { values($0).flatMap(\.arguments) }
    }

    subscript(part: RecipePart, key: String) -> RecipeValue? {
        values(part).first { $0.key.name == key }
    }

    /// What a command has against its arguments, with the line of the key that it names.
    func refusal(_ message: String, of parts: [RecipePart]) -> RecipeError {
        let named = parts.flatMap { values($0) }.filter { value in
            message.range(
                of: "--\(value.key.option)(?![a-z-])", options: .regularExpression) != nil
        }
        let line = named.first?.line ?? parts.compactMap { sections[$0]?.line }.first
        return .refused(
            file: file, line: line ?? model.line, part: parts[0].rawValue,
            message: message.replacingOccurrences(of: "--", with: ""))
    }

    /// Everything that is read must be there before the first stage begins.
    private func requireFiles() throws {
        for value in [model] + RecipePart.allCases.flatMap({ values($0) }) where value.isPath {
            for path in value.words where !FileManager.default.fileExists(atPath: path) {
                throw RecipeError.noFile(
                    file: file, line: value.line, key: value.key.name, path: path)
            }
        }
    }
}

enum RecipeError: Error, CustomStringConvertible {
    case unreadable(file: String, reason: String)
    case syntax(file: String, line: Int, reason: String)
    case unknownKey(file: String, line: Int, key: String, known: [String])
    case repeatedKey(file: String, line: Int, key: String)
    case wrongType(file: String, line: Int, key: String, expected: String)
    case missing(file: String, key: String)
    case noFile(file: String, line: Int, key: String, path: String)
    case refused(file: String, line: Int, part: String, message: String)
    case noOutput(file: String)

    var description: String {
        switch self {
        case .unreadable(let file, let reason): "\(file): \(reason)"
        case .syntax(let file, let line, let reason): "\(file):\(line): \(reason)"
        case .unknownKey(let file, let line, let key, let known):
            "\(file):\(line): unknown key '\(key)'; there are \(known.joined(separator: ", "))"
        case .repeatedKey(let file, let line, let key): "\(file):\(line): '\(key)' stands twice"
        case .wrongType(let file, let line, let key, let expected):
            "\(file):\(line): '\(key)' must be \(expected)"
        case .missing(let file, let key): "\(file): '\(key)' is missing"
        case .noFile(let file, let line, let key, let path):
            "\(file):\(line): '\(key)': \(path) does not exist"
        case .refused(let file, let line, let part, let message):
            "\(file):\(line): \(part): \(message)"
        case .noOutput(let file):
            "\(file) names no output folder; add 'output' or pass --output"
        }
    }
}
