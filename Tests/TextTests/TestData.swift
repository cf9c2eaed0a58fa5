import Foundation
import Testing

@testable import Text

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
    static let reference =
        environment["MINIMA_REFERENCE"] ?? "\(root)/.build/reference/tokenizers"

    static let hasData = available(
        data + "/data/corpus/valid.txt.xz", variable: "MINIMA_DATA",
        required: "MINIMA_REQUIRE_DATA")
    static let hasReference =
        hasData
        && available(
            reference + "/recipe.ids", variable: "MINIMA_REFERENCE",
            required: "MINIMA_REQUIRE_REFERENCE")

    /// Whether `path` is there. If it is required the answer is yes: the tests then run and fail.
    static func available(_ path: String, variable: String, required: String) -> Bool {
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

    /// The folder of each tokenizer that is compared with the reference.
    static let folders = [
        "tiny": data + "/models/tiny",
        "qwen2": data + "/data/tokenizers/qwen2",
        "gpt2": data + "/data/tokenizers/gpt2",
        "stories260K": data + "/models/stories260K/hf",
    ]

    static let variants = [
        "llama3", "flags", "spaced", "holes", "metaspace-always", "metaspace-first",
        "metaspace-never", "unknown", "loose", "crossing",
    ].map { "variants/\($0)" }

    static func tokenizer(_ name: String) throws -> Tokenizer {
        try Tokenizer(path: folders[name] ?? "\(reference)/\(name)")
    }

    static func bytes(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

/// The tokenizer that is part of the repository.
enum TinyModel {
    static let folder = "\(TestData.root)/Models/tiny"
    static let json = "\(folder)/tokenizer.json"
}

/// A list file written by Tests/Reference/tokenizers_reference.py.
struct ReferenceList {
    private let bytes: [UInt8]
    private let width: Int
    let count: Int

    private init(_ name: String, width: Int) throws {
        bytes = try TestData.bytes("\(TestData.reference)/\(name)")
        self.width = width
        count = Int(bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) })
    }

    static func texts(_ name: String) throws -> [[UInt8]] {
        let list = try ReferenceList(name, width: 1)
        return (0..<list.count).map { Array(list.bytes[list.range($0)]) }
    }

    static func ids(_ name: String) throws -> [[TokenID]] {
        let list = try ReferenceList(name, width: 4)
        return (0..<list.count).map { index in
            list.bytes.withUnsafeBytes { raw in
                stride(from: list.range(index).lowerBound, to: list.range(index).upperBound, by: 4)
                    .map { raw.loadUnaligned(fromByteOffset: $0, as: TokenID.self) }
            }
        }
    }

    private func offset(_ index: Int) -> Int {
        Int(
            bytes.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: 4 + index * 4, as: UInt32.self)
            })
    }

    private func range(_ index: Int) -> Range<Int> {
        let start = 4 + (count + 1) * 4
        return start + offset(index) * width..<start + offset(index + 1) * width
    }
}

/// A repeatable source of randomness (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
