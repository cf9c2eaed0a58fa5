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

    /// The first blocks of the shipped model, for what takes long with all of them.
    func beginningOfTiny(blocks: Int) throws -> String {
        let folder = try copyOfTiny("beginning")
        func change(
            _ object: inout [String: Any], in bytes: Data,
            _ body: (inout [String: Any]) throws -> Void
        ) throws {
            object = try #require(try JSONSerialization.jsonObject(with: bytes) as? [String: Any])
            try body(&object)
        }
        let configuration = URL(fileURLWithPath: folder + "/config.json")
        var object: [String: Any] = [:]
        try change(&object, in: Data(contentsOf: configuration)) { object in
            object["num_hidden_layers"] = blocks
            object["layer_types"] = Array(repeating: "full_attention", count: blocks)
        }
        try JSONSerialization.data(withJSONObject: object).write(to: configuration)
        // A header of eight bytes that say its length, then the tensors, without gaps.
        let weights = URL(fileURLWithPath: folder + "/model.safetensors")
        let bytes = try Data(contentsOf: weights)
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var tensors = Data()
        try change(&object, in: bytes[8..<8 + length]) { object in
            object = object.filter { name, _ in
                let parts = name.split(separator: ".")
                return parts.count < 3 || parts[1] != "layers" || (Int(parts[2]) ?? 0) < blocks
            }
            for name in object.keys.sorted() where name != "__metadata__" {
                var tensor = try #require(object[name] as? [String: Any])
                let offsets = try #require(tensor["data_offsets"] as? [Int])
                let start = tensors.count
                tensors += bytes[8 + length + offsets[0]..<8 + length + offsets[1]]
                tensor["data_offsets"] = [start, tensors.count]
                object[name] = tensor
            }
        }
        var header = try JSONSerialization.data(withJSONObject: object)
        header += Data(repeating: 0x20, count: (8 - header.count % 8) % 8)
        let count = (0..<8).map { UInt8(header.count >> (8 * $0) & 0xFF) }
        try (Data(count) + header + tensors).write(to: weights)
        return folder
    }
}

func withScratch<Result>(_ body: (Scratch) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("minima-tests-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(Scratch(folder: folder))
}
