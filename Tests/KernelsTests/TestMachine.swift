import Foundation

@testable import Kernels

/// What the tests find on this machine. What is missing is said loudly; with MINIMA_REQUIRE_REFERENCE=1
/// (NVRTC) or MINIMA_REQUIRE_GPU=1 it is a failure.
enum TestMachine {
    static let hasCompiler = available(
        "MINIMA_REQUIRE_REFERENCE", hint: "make reference installs NVRTC"
    ) { () throws(CUDAError) in _ = try CompilerLibrary.shared.get() }

    static let hasDevice = available("MINIMA_REQUIRE_GPU", hint: "a GPU is needed") {
        () throws(CUDAError) in _ = try CUDADevice.open(0)
    }

    static let devices: [TestDevice] = hasDevice ? [.simulated, .gpu] : [.simulated]

    /// Whether `look` finds what it looks for. If that is required the answer is yes: the tests then
    /// run and fail.
    private static func available(
        _ required: String, hint: String, _ look: () throws(CUDAError) -> Void
    ) -> Bool {
        do throws(CUDAError) {
            try look()
            return true
        } catch {
            if ProcessInfo.processInfo.environment[required] == "1" { return true }
            let message = """
                ==== SKIPPED: \(error) (\(hint)). Tests that need it DO NOT RUN. \
                (\(required)=1 makes this a failure.) ====\n
                """
            FileHandle.standardError.write(Data(message.utf8))
            return false
        }
    }
}

/// An empty folder that is removed with all it holds.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = "\(FileManager.default.temporaryDirectory.path)/minima-kernels-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }
}
