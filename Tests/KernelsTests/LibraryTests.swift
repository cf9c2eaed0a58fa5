import Foundation
import Testing

@testable import Kernels

@Suite("Libraries of CUDA")
struct LibraryTests {
    @Test("a driver that is nowhere: the error says what was tried")
    func noDriver() {
        let error = #expect(throws: CUDAError.self) {
            try Driver(libraries: ["libcuda-absent.so.1", "/absent/libcuda.so.1"])
        }
        let text = "\(error, default: "")"
        #expect(text.hasPrefix("no CUDA driver was found; tried libcuda-absent.so.1: "))
        #expect(text.contains("/absent/libcuda.so.1: "))
    }

    @Test("a library that is no driver: the error names what it lacks")
    func otherLibrary() {
        let error = #expect(throws: CUDAError.self) { try Driver(libraries: ["libm.so.6"]) }
        #expect(error == .noDriver(tried: ["libm.so.6: has no function cuInit"]))
        let compiler = #expect(throws: CUDAError.self) {
            try CompilerLibrary(libraries: ["libm.so.6"])
        }
        #expect(
            compiler == .noCompiler(tried: ["libm.so.6: has no function nvrtcGetErrorString"]))
    }

    @Test("a machine without a driver", .enabled(if: !hasDriver, "there is a driver"))
    func thisMachine() {
        let error = #expect(throws: CUDAError.self) { try CUDADevice.open(0) }
        guard case .noDriver(let tried) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(tried.first?.hasPrefix("libcuda.so.1: ") == true)
    }

    private static let hasDriver: Bool = {
        if case .success = Driver.shared { return true }
        return false
    }()

    @Test("MINIMA_NVRTC is taken alone")
    func namedCompiler() {
        let named = CompilerLibrary.candidates(environment: ["MINIMA_NVRTC": "/there/libnvrtc.so"])
        #expect(named == ["/there/libnvrtc.so"])
    }

    @Test("libtorch's folder is found, and PyPI's beside it")
    func besideTorch() throws {
        let folders = CompilerLibrary.besideTorch()
        let torch = try #require(folders.first)
        #expect(FileManager.default.fileExists(atPath: torch + "/libc10.so"))
        let parent = torch.split(separator: "/").dropLast(2).joined(separator: "/")
        #expect(
            folders.dropFirst() == [
                "/\(parent)/nvidia/cu13/lib", "/\(parent)/nvidia/cuda_nvrtc/lib",
            ])
    }

    @Test("without it the loader's path is searched among others, newest first")
    func searchedCompiler() {
        let searched = CompilerLibrary.candidates(environment: [:])
        let byName = searched.filter { !$0.contains("/") }
        #expect(byName == ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"])
    }
}
