import Foundation
import Testing

@testable import Kernels

@Suite("KernelCompiler", .enabled(if: TestMachine.hasCompiler, "NVRTC is not there"))
struct CompilerTests {
    private let folder: TemporaryFolder
    private let compiler: KernelCompiler

    init() throws {
        folder = try TemporaryFolder()
        compiler = try KernelCompiler(cacheFolder: folder.path + "/kernels")
    }

    private let elf: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]

    @Test(
        "compiles every source for every architecture", arguments: KernelSource.all,
        ["sm_80", "sm_90a", "sm_100a"])
    func everySource(source: KernelSource, architecture: String) throws {
        // Made of instructions that no other generation has.
        if source == .gemm && architecture != "sm_90a" { return }
        let kernel = try compiler.compile(source, for: architecture)
        #expect(kernel.origin == .compiled)
        #expect(kernel.image.starts(with: elf))
    }

    @Test("every file of CUDA code is embedded")
    func everyFile() throws {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        let sources = parts.dropLast(3).joined(separator: "/") + "/Sources/Kernels/CUDA"
        let files = try FileManager.default.contentsOfDirectory(atPath: sources).sorted()
        let kernels = files.filter { $0.hasSuffix(".cu") }
        #expect(kernels == KernelSource.all.map { "\($0.name).cu" }.sorted())
        for source in KernelSource.all {
            let text = try String(contentsOfFile: "\(sources)/\(source.name).cu", encoding: .utf8)
            #expect(source.text.hasSuffix(text))
        }
    }

    @Test("a source that does not compile is named, with what NVRTC said")
    func broken() {
        let source = KernelSource(name: "broken", text: "__global__ void f() { undeclared(); }")
        let error = #expect(throws: CUDAError.self) {
            try compiler.compile(source, for: "sm_80")
        }
        guard case .compilation("broken", "sm_80", let log) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(log.contains("broken.cu(1): error"))
        #expect(log.contains("undeclared"))
    }

    @Test("an option that NVRTC does not know is an error with its name")
    func unknownOption() {
        let error = #expect(throws: CUDAError.self) {
            try compiler.compile(.fill, for: "sm_80", options: ["--no-such-option"])
        }
        #expect("\(error, default: "")".contains("no-such-option"))
    }

    @Test("a macro reaches the source, and each value has its own code")
    func defines() throws {
        let text = """
            extern "C" __global__ void f(int *x) { static_assert(ROWS > 2, "few rows"); *x = ROWS; }
            """
        let source = KernelSource(name: "rows", text: text)
        let three = try compiler.compile(source, for: "sm_80", defines: ["ROWS": "3"])
        let four = try compiler.compile(source, for: "sm_80", defines: ["ROWS": "4"])
        #expect(three.origin == .compiled)
        #expect(four.origin == .compiled)
        #expect(three.image != four.image)
        #expect(throws: CUDAError.self) {
            try compiler.compile(source, for: "sm_80", defines: ["ROWS": "2"])
        }
    }

    @Test("what was compiled once is read from the cache, by another compiler too")
    func cacheHit() throws {
        let first = try compiler.compile(.fill, for: "sm_80")
        let other = try KernelCompiler(cacheFolder: folder.path + "/kernels")
        let second = try other.compile(.fill, for: "sm_80")
        #expect(first.origin == .compiled)
        #expect(second.origin == .cache)
        #expect(first.image == second.image)
    }

    @Test("a damaged file of the cache is noticed and replaced", arguments: [0, 40, 500, -1])
    func damaged(place: Int) throws {
        let first = try compiler.compile(.fill, for: "sm_80")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/kernels")
        let file = try #require(files.first)
        let path = "\(folder.path)/kernels/\(file)"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        if place < 0 { bytes.removeLast(100) } else { bytes[place] ^= 1 }
        try bytes.write(to: URL(fileURLWithPath: path))

        let second = try compiler.compile(.fill, for: "sm_80")
        let third = try compiler.compile(.fill, for: "sm_80")
        #expect(files.count == 1)
        #expect(second.origin == .compiledForDamaged)
        #expect(second.image == first.image)
        #expect(third.origin == .cache)
    }

    @Test("a cache that cannot be written costs time, not the kernel, and is told")
    func unwritable() throws {
        let file = folder.path + "/file"
        try Data().write(to: URL(fileURLWithPath: file))
        let kernel = try KernelCompiler(cacheFolder: file + "/kernels")
            .compile(.fill, for: "sm_80")
        #expect(kernel.image.starts(with: elf))
        guard case .compiledUnkept = kernel.origin else {
            Issue.record("\(kernel.origin)")
            return
        }
    }
}
