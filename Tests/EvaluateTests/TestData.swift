import Foundation
import Testing

/// Where the tests find what is not in the repository. What is missing is said loudly; with
/// MINIMA_REQUIRE_DATA=1 or MINIMA_REQUIRE_REFERENCE=1 it is a failure.
enum TestData {
    static let environment = ProcessInfo.processInfo.environment

    /// The package root, from this file's place in it.
    static let root: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/")
    }()

    static let data = environment["MINIMA_DATA"] ?? "\(root)/../shared"
    /// MINIMA_REFERENCE names the tokenizers' reference (see TextTests); perplexities and tasks are beside it.
    private static let references =
        (environment["MINIMA_REFERENCE"] ?? "\(root)/.build/reference/tokenizers") + "/.."
    static let reference = references + "/perplexity"
    static let taskReference = references + "/tasks"

    static let hasData = available(
        data + "/data/wikitext2/wiki.test.raw", variable: "MINIMA_DATA",
        required: "MINIMA_REQUIRE_DATA")
    static let hasReference =
        hasData
        && available(
            reference + "/tiny.wiki.test.raw.json", variable: "MINIMA_REFERENCE (make reference)",
            required: "MINIMA_REQUIRE_REFERENCE")
    static let hasTaskReference =
        hasData
        && available(
            taskReference + "/few-shot/gsm8k.json", variable: "MINIMA_REFERENCE (make reference)",
            required: "MINIMA_REQUIRE_REFERENCE")

    /// The model that is part of the repository.
    static let tiny = "\(root)/Models/tiny"
    /// A text that is part of the repository.
    static let text = "\(root)/Examples/evaluation.txt"

    /// Whether `path` is there. If it is required the answer is yes: the tests then run and fail.
    private static func available(_ path: String, variable: String, required: String) -> Bool {
        if FileManager.default.fileExists(atPath: path) || environment[required] == "1" {
            return true
        }
        let message = """
            ==== SKIPPED: \(path) is not there; set \(variable). Tests that need it DO NOT RUN. \
            (\(required)=1 makes this a failure.) ====\n
            """
        FileHandle.standardError.write(Data(message.utf8))
        return false
    }

    static func bytes(_ path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: path))
    }
}

/// An empty folder that is removed with all it holds.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = "\(FileManager.default.temporaryDirectory.path)/minima-evaluate-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
