import FoundationEssentials
import Glibc
import TensorNetworks
import Tensors
import Testing

@testable import Artifacts

@Suite(
    "Damaged files are refused in one line, without a crash and without much memory", .serialized)
struct FuzzTests {
    @Test("safetensors headers")
    func headers() throws {
        let seeds = [
            RawSafetensors.bytes(
                "{\"__metadata__\":{\"format\":\"pt\"},"
                    + RawSafetensors.entry("model.embed_tokens.weight", "BF16", [8, 4], 0, 64)
                    + "," + RawSafetensors.entry("b", "F32", [], 64, 68) + ","
                    + RawSafetensors.entry("c\\u00e9", "I64", [2, 1], 68, 84) + "}   ", data: 84),
            RawSafetensors.bytes("{}", data: 0),
        ]
        var mutator = Mutator(seed: 1)
        var refused = 0
        let before = ResidentMemory.peakBytes(afterReset: true)
        for round in 0..<12_000 {
            let bytes = mutator.mutated(seeds[round % 8 == 0 ? 1 : 0])
            do {
                let header = try bytes.withUnsafeBytes {
                    try SafetensorsHeader($0, of: "x.safetensors")
                }
                // What is accepted lies in the file.
                for (info, range) in zip(header.tensors, header.ranges) {
                    #expect(range.upperBound <= bytes.count && range.count == info.byteCount)
                }
            } catch {
                refused += 1
                expectOneLine(error)
            }
        }
        #expect(ResidentMemory.peakBytes() - before < 128 << 20)
        #expect(refused > 6_000)
        print("fuzz: \(refused) of 12000 headers refused")
    }

    @Test("configurations")
    func configurations() throws {
        let seeds = [
            try Configurations.bytes([
                "rope_scaling": .object([
                    "type": .string("yarn"), "factor": .number(4), "mscale": .number(1),
                ]), "eos_token_id": .array([.integer(1), .integer(2)]),
            ]),
            try MappedFile.contents("\(TestModels.tiny)/config.json", limit: 1 << 20),
        ]
        var mutator = Mutator(seed: 2)
        var refused = 0
        let before = ResidentMemory.peakBytes(afterReset: true)
        for round in 0..<6_000 {
            do {
                let configuration = try ModelConfiguration(
                    parsing: mutator.mutated(seeds[round % 2]))
                for tensor in configuration.linearModules(ofLayer: 0).map(\.weight) {
                    #expect(
                        TensorInfo(name: "", elementType: .float64, shape: tensor.shape) != nil)
                }
            } catch {
                refused += 1
                expectOneLine(error)
            }
        }
        #expect(ResidentMemory.peakBytes() - before < 128 << 20)
        #expect(refused > 1_500)
        print("fuzz: \(refused) of 6000 configurations refused")
    }

    @Test("manifests")
    func manifests() throws {
        let manifest = try CompressedModel.manifest(CompressedModel.everyFormat)
        let seed = try StrictJSON.encode(manifest)
        var infos: [String: TensorInfo] = [:]
        for patch in manifest.matrices.flatMap(\.patches) {
            for info in try patch.declarations(matrix: "m") { infos[info.name] = info }
        }
        var mutator = Mutator(seed: 3)
        var refused = 0
        let before = ResidentMemory.peakBytes(afterReset: true)
        for _ in 0..<3_000 {
            do {
                let read = try CompressionManifest(parsing: mutator.mutated(seed), of: "x.json")
                try read.validate(against: { infos[$0] }, of: "x.json")
            } catch {
                refused += 1
                expectOneLine(error)
            }
        }
        #expect(ResidentMemory.peakBytes() - before < 128 << 20)
        #expect(refused > 1_500)
        print("fuzz: \(refused) of 3000 manifests refused")
    }

    @Test("a long honest header takes memory in proportion to its length")
    func longHeader() throws {
        let entries = (0..<200_000).map { RawSafetensors.entry("tensor.\($0)", "U8", [0], 0, 0) }
        let bytes = RawSafetensors.bytes("{\(entries.joined(separator: ","))}", data: 0)
        let before = ResidentMemory.peakBytes(afterReset: true)
        let header = try bytes.withUnsafeBytes {
            try SafetensorsHeader($0, of: "x.safetensors")
        }
        #expect(header.tensors.count == 200_000)
        let growth = ResidentMemory.peakBytes() - before
        print("a header of \(bytes.count) bytes took \(growth) bytes")
        #expect(growth < 8 * bytes.count + 64 << 20)
    }

    @Test("a large checkpoint is read through in little memory")
    func streaming() throws {
        let folder = try TemporaryFolder()
        let count = 384 << 20
        let path = folder.file("model.safetensors")
        try folder.write(
            RawSafetensors.bytes(
                "{\(RawSafetensors.entry("w", "U8", [count], 0, count))}", data: 0),
            to: "model.safetensors")
        let header = try folder.contents("model.safetensors").count
        try #require(truncate(path, header + count) == 0)
        try folder.write("{}", to: ModelConfiguration.file)
        let checkpoint = try Checkpoint(folder.path)
        let before = ResidentMemory.peakBytes(afterReset: true)
        let time = try ContinuousClock().measure { _ = try checkpoint.fingerprint() }
        let growth = ResidentMemory.peakBytes() - before
        let speed = Double(count) / 1e9 / (time / .seconds(1))
        print("fingerprint: \(count) bytes at \(speed) GB/s, \(growth) bytes resident")
        #expect(growth < 128 << 20)
    }

    func expectOneLine(_ error: any Error) {
        let text = "\(error)"
        #expect(error is CheckpointError, "\(text)")
        #expect(!text.isEmpty && text.utf8.count < 8_000 && !text.contains("\n"))
    }
}

/// Most memory that the process has held at once.
enum ResidentMemory {
    static func peakBytes(afterReset: Bool = false) -> Int {
        if afterReset {
            // 5 resets the peak to what is resident now.
            try? Data("5".utf8).write(to: URL(filePath: "/proc/self/clear_refs"))
        }
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, 256, file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
            guard text.hasPrefix("VmHWM:") else { continue }
            return (Int(text.filter(\.isNumber)) ?? 0) << 10
        }
        return 0
    }
}

/// Damages bytes in the ways that files are damaged, by accident and on purpose.
struct Mutator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func mutated(_ original: [UInt8]) -> [UInt8] {
        var bytes = original
        for _ in 0...below(3) { mutate(&bytes) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        switch below(8) {
        case 0: bytes[below(bytes.count)] ^= 1 << UInt8(below(8))
        case 1: bytes[below(bytes.count)] = UInt8(below(256))
        case 2: bytes.removeLast(1 + below(bytes.count))
        case 3: bytes.insert(UInt8(below(256)), at: below(bytes.count))
        case 4, 5: replaceNumber(&bytes)
        case 6: swapPieces(&bytes)
        default: repeatPiece(&bytes)
        }
    }

    /// Puts a number that is hard on arithmetic in place of one that is there.
    private mutating func replaceNumber(_ bytes: inout [UInt8]) {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        let starts = bytes.indices.filter {
            digits.contains(bytes[$0]) && ($0 == 0 || !digits.contains(bytes[$0 - 1]))
        }
        guard !starts.isEmpty else { return }
        let start = starts[below(starts.count)]
        let end = bytes[start...].firstIndex { !digits.contains($0) } ?? bytes.endIndex
        let hard = [
            "0", "1", "-1", "9223372036854775807", "9223372036854775808", "18446744073709551616",
            "4294967296", "16777216", "16777217", "1e308", "1e999", "0.5", "-0", "1e-400",
            "null", "[]", "{}", "\"\"", String(repeating: "9", count: 400),
        ]
        bytes.replaceSubrange(start..<end, with: Array(hard[below(hard.count)].utf8))
    }

    /// Exchanges two pieces between structural characters.
    private mutating func swapPieces(_ bytes: inout [UInt8]) {
        let marks = bytes.indices.filter { "{}[]:,\"".utf8.contains(bytes[$0]) }
        guard marks.count > 4 else { return }
        let picked = (0..<4).map { _ in marks[below(marks.count)] }.sorted()
        let (a, b) = (Array(bytes[picked[0]..<picked[1]]), Array(bytes[picked[2]..<picked[3]]))
        bytes.replaceSubrange(picked[2]..<picked[3], with: a)
        bytes.replaceSubrange(picked[0]..<picked[1], with: b)
    }

    private mutating func repeatPiece(_ bytes: inout [UInt8]) {
        let start = below(bytes.count)
        let piece = Array(bytes[start..<min(bytes.count, start + 1 + below(64))])
        bytes.insert(contentsOf: piece, at: below(bytes.count))
    }

    private mutating func below(_ limit: Int) -> Int {
        // SplitMix64.
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ (mixed >> 31)) % UInt64(limit))
    }
}
