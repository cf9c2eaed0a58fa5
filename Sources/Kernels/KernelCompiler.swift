import Artifacts
import CCUDA

/// Compiles kernels for a GPU that need not be there, and keeps what it made on disk.
package struct KernelCompiler: Sendable {
    /// Of NVRTC, as in 13.0.
    package let version: (major: Int, minor: Int)
    private let library: CompilerLibrary
    private let cache: KernelCache

    /// Loads the NVRTC of this machine.
    ///
    /// - Parameter cacheFolder: where machine code is kept.
    package init(
        cacheFolder: String = CacheFolder.root + "/kernels"
    ) throws(CUDAError) {
        try self.init(library: CompilerLibrary.shared.get(), cacheFolder: cacheFolder)
    }

    init(library: CompilerLibrary, cacheFolder: String) throws(CUDAError) {
        self.library = library
        cache = KernelCache(folder: cacheFolder)
        var (major, minor) = (Int32(0), Int32(0))
        try Self.check(
            "nvrtcVersion", library, library.functions.pointee.nvrtcVersion(&major, &minor))
        version = (Int(major), Int(minor))
    }

    /// - Parameters:
    ///   - architecture: as `CUDADevice.architecture` has it.
    ///   - defines: macros, as in `["ROWS": "3"]`.
    ///   - options: others of NVRTC, as in `["--use_fast_math"]`.
    package func compile(
        _ source: KernelSource, for architecture: String, defines: [String: String] = [:],
        options: [String] = []
    ) throws(CUDAError) -> CompiledKernel {
        let all =
            ["--gpu-architecture=\(architecture)", "--std=c++17"] + options
            + defines.sorted { $0.key < $1.key }.map { "-D\($0.key)=\($0.value)" }
        let key = Fingerprint(
            hashing: ["minima kernel 1", "\(version.major).\(version.minor)", source.text].map {
                Array($0.utf8)
            } + all.map { Array($0.utf8) })
        let found = cache.image(key)
        if case .intact(let image) = found {
            return CompiledKernel(
                name: source.name, architecture: architecture, image: image, origin: .cache)
        }
        let image = try build(source, architecture, options: all)
        let origin: CompiledKernel.Origin =
            if let fault = cache.keep(image, key) {
                .compiledUnkept(fault)
            } else if case .damaged = found {
                .compiledForDamaged
            } else {
                .compiled
            }
        return CompiledKernel(
            name: source.name, architecture: architecture, image: image, origin: origin)
    }

    private func build(
        _ source: KernelSource, _ architecture: String, options: [String]
    ) throws(CUDAError) -> [UInt8] {
        let functions = library.functions.pointee
        var made: nvrtcProgram?
        try check(
            "nvrtcCreateProgram",
            functions.nvrtcCreateProgram(&made, source.text, "\(source.name).cu", 0, nil, nil))
        guard let program = made else { preconditionFailure("a program that was made is there") }
        defer { _ = functions.nvrtcDestroyProgram(&made) }
        let status = Self.withCStrings(options) {
            functions.nvrtcCompileProgram(program, Int32(options.count), $0)
        }
        guard status == NVRTC_SUCCESS else {
            throw .compilation(
                kernel: source.name, architecture: architecture,
                log: try log(of: program)
                    ?? String(cString: functions.nvrtcGetErrorString(status)))
        }
        var bytes = 0
        try check("nvrtcGetCUBINSize", functions.nvrtcGetCUBINSize(program, &bytes))
        var image = [CChar](repeating: 0, count: bytes)
        try check("nvrtcGetCUBIN", functions.nvrtcGetCUBIN(program, &image))
        return image.map(UInt8.init(bitPattern:))
    }

    /// - Returns: `nil` where NVRTC said nothing, as of an option that it does not know.
    private func log(of program: nvrtcProgram) throws(CUDAError) -> String? {
        let functions = library.functions.pointee
        var bytes = 0
        try check("nvrtcGetProgramLogSize", functions.nvrtcGetProgramLogSize(program, &bytes))
        guard bytes > 1 else { return nil }
        var log = [CChar](repeating: 0, count: bytes)
        try check("nvrtcGetProgramLog", functions.nvrtcGetProgramLog(program, &log))
        return String(decoding: log.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private func check(_ function: String, _ code: nvrtcResult) throws(CUDAError) {
        try Self.check(function, library, code)
    }

    private static func check(
        _ function: String, _ library: CompilerLibrary, _ code: nvrtcResult
    ) throws(CUDAError) {
        guard code == NVRTC_SUCCESS else {
            let reason = String(cString: library.functions.pointee.nvrtcGetErrorString(code))
            throw .failed(function: function, code: code, reason: reason)
        }
    }

    /// `strings` as C takes a list of them; valid during `body`.
    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        var bytes: [CChar] = []
        var places: [Int] = []
        for string in strings {
            places.append(bytes.count)
            bytes.append(contentsOf: string.utf8CString)
        }
        return bytes.withUnsafeBufferPointer { characters in
            var pointers = places.map { place in characters.baseAddress.map { $0 + place } }
            pointers.append(nil)
            return pointers.withUnsafeBufferPointer { list in
                guard let base = list.baseAddress else {
                    preconditionFailure("a list with an end has an address")
                }
                return body(base)
            }
        }
    }
}
