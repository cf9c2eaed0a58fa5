import Foundation
import Testing

/// Where the tests find what is not in the repository. What is missing is said loudly; with
/// MINIMA_REQUIRE_DATA=1 it is a failure.
enum TestData {
    static let environment = ProcessInfo.processInfo.environment

    /// The package root, from this file's place in it.
    static let root: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/")
    }()

    static let data = environment["MINIMA_DATA"] ?? "\(root)/../shared"
    static let hasData = available(
        data + "/models/stories260K/golden_greedy.json", variable: "MINIMA_DATA",
        required: "MINIMA_REQUIRE_DATA")

    /// What `make reference` made of drafts.
    static let drafts = "\(root)/.build/reference/drafts"
    static let hasDrafts = available(
        drafts + "/authors.json", variable: "MINIMA_REFERENCE", required: "MINIMA_REQUIRE_REFERENCE"
    )

    /// The model that is part of the repository.
    static let tiny = "\(root)/Models/tiny"

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
}
