import Foundation
import Testing

/// The built program, run as a user runs it.
struct Program {
    struct Result {
        let status: Int32
        let output: String
        let errors: String

        /// The one JSON object that the program printed.
        func json() throws -> [String: Any] {
            let value = try JSONSerialization.jsonObject(with: Data(output.utf8))
            return try #require(value as? [String: Any])
        }
    }

    /// Beside the test bundle, where SwiftPM puts all products.
    static let path = URL(fileURLWithPath: CommandLine.arguments[0])
        .deletingLastPathComponent().appendingPathComponent("minima").path
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    static let tiny = root + "/Models/tiny"
    static let text = root + "/Examples/evaluation.txt"

    /// What the program under test keeps between runs, apart from the user's own; new for every test run.
    static let cache: String = {
        let folder = root + "/.build/test-cache"
        try? FileManager.default.removeItem(atPath: folder)
        return folder
    }()

    /// Starts the program; output goes to files, so that no pipe can fill up.
    static func start(
        _ arguments: [String], in folder: Scratch, environment: [String: String] = [:]
    ) throws -> Running {
        try Running(path, arguments, in: folder, environment: environment)
    }

    static func run(_ arguments: String...) throws -> Result { try run(arguments) }

    static func run(_ arguments: [String]) throws -> Result {
        try withScratch { try start(arguments, in: $0).finish() }
    }

    /// Runs a line of bash with the program as `$minima`.
    static func shell(_ line: String) throws -> Result {
        try withScratch {
            try Running("/bin/bash", ["-c", "minima=\(path); \(line)"], in: $0).finish()
        }
    }

    final class Running {
        let process = Process()
        private let output: String
        private let errors: String

        init(
            _ path: String, _ arguments: [String], in folder: Scratch,
            environment: [String: String] = [:]
        ) throws {
            output = folder.path("stdout-\(UUID().uuidString)")
            errors = folder.path("stderr-\(UUID().uuidString)")
            for file in [output, errors] { try Data().write(to: URL(fileURLWithPath: file)) }
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = arguments
            process.currentDirectoryURL = URL(fileURLWithPath: Program.root)
            process.environment = ProcessInfo.processInfo.environment.merging(
                ["MINIMA_CACHE": Program.cache]
            ) { _, ours in ours }.merging(environment) { _, ours in ours }
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
            try process.run()
        }

        func finish() throws -> Result {
            process.waitUntilExit()
            return Result(
                status: process.terminationStatus,
                output: try String(contentsOfFile: output, encoding: .utf8),
                errors: try String(contentsOfFile: errors, encoding: .utf8))
        }
    }
}

/// A folder that lasts as long as a test.
struct Scratch {
    let folder: String

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    /// Names in the folder but for what the harness writes.
    func contents() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder)
            .filter { !$0.hasPrefix("stdout-") && !$0.hasPrefix("stderr-") }.sorted()
    }

    /// A copy of the shipped model that a test may damage.
    func copyOfTiny(_ name: String = "model") throws -> String {
        try FileManager.default.copyItem(atPath: Program.tiny, toPath: path(name))
        return path(name)
    }
}

func withScratch<Result>(_ body: (Scratch) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(Scratch(folder: folder))
}
