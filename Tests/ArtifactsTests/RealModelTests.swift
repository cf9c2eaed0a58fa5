import FoundationEssentials
import Tensors
import Testing

@testable import Artifacts

/// Where models for tests are.
enum TestModels {
    static let package = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The model that ships with the project.
    static let tiny = "\(package)/Models/tiny"

    /// A folder of `MINIMA_DATA`, or `nil`, said loudly; an error under `MINIMA_REQUIRE_DATA=1`.
    static func shared(_ name: String) throws -> String? {
        let environment = ProcessInfo.processInfo.environment
        let folder = "\(environment["MINIMA_DATA"] ?? "\(package)/../shared")/models/\(name)"
        if FileManager.default.fileExists(atPath: folder) { return folder }
        if environment["MINIMA_REQUIRE_DATA"] == "1" { throw MissingData(folder: folder) }
        print("SKIPPED: there is no \(folder); set MINIMA_DATA")
        return nil
    }

    struct MissingData: Error {
        let folder: String
    }
}

@Suite("Real models")
struct RealModelTests {
    @Test("the model that ships with the project is whole")
    func tiny() throws {
        let configuration = try ModelConfiguration(folder: TestModels.tiny)
        #expect(configuration.architecture == .qwen3)
        #expect(configuration.hiddenSize == 256)
        #expect(configuration.headDim == 64)
        #expect(configuration.tiesEmbeddings)
        #expect(configuration.rotary == RotaryEmbedding(theta: 100_000, scaling: .none))
        #expect(configuration.slidingWindows == Array(repeating: nil, count: 6))
        #expect(configuration.endTokens == [0])
        #expect(configuration.elementType == .bfloat16)

        let checkpoint = try Checkpoint(TestModels.tiny)
        try checkpoint.validate(against: configuration)
        #expect(checkpoint.manifest == nil)
        for name in checkpoint.tensorNames { try checkpoint.requireFinite(name) }
        let embedding = try checkpoint.tensor(named: "model.embed_tokens.weight")
        #expect(embedding.shape == [4_096, 256])
        #expect(embedding.elementType == .bfloat16)
    }

    @Test("larger models and other architectures", arguments: ["tiny", "small", "stories260K/hf"])
    func shared(_ name: String) throws {
        guard let folder = try TestModels.shared(name) else { return }
        let configuration = try ModelConfiguration(folder: folder)
        let checkpoint = try Checkpoint(folder)
        try checkpoint.validate(against: configuration)
        for name in checkpoint.tensorNames { try checkpoint.requireFinite(name) }
    }

    @Test("fingerprints do not depend on how tensors are spread, and are fast")
    func fingerprint() throws {
        let folder = try TestModels.shared("small") ?? TestModels.tiny
        let checkpoint = try Checkpoint(folder)
        let clock = ContinuousClock()
        var first: Fingerprint?
        let time = try clock.measure { first = try checkpoint.fingerprint() }
        let gigabytes = Double(checkpoint.byteCount) / 1e9
        print("fingerprint: \(gigabytes) GB at \(gigabytes / (time / .seconds(1))) GB/s")
        #expect(try checkpoint.fingerprint() == first)
    }
}
