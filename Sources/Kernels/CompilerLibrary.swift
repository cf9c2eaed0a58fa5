import CCUDA
import FoundationEssentials

/// Where NVRTC may be, and its functions.
struct CompilerLibrary: Sendable {
    /// Lives as long as the process and is not written after loading.
    nonisolated(unsafe) let functions: UnsafePointer<CCUDACompiler>

    static let names = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]

    /// The NVRTC of this machine, looked for once.
    static let shared = Result { () throws(CUDAError) in
        try CompilerLibrary(libraries: candidates(environment: ProcessInfo.processInfo.environment))
    }

    /// The first of `libraries`, names or paths, that is there and has every function.
    init(libraries: [String]) throws(CUDAError) {
        let table = UnsafeMutablePointer<CCUDACompiler>.allocate(capacity: 1)
        var tried: [String] = []
        for library in libraries {
            guard let reason = ccuda_open_compiler(library, table) else {
                functions = UnsafePointer(table)
                return
            }
            tried.append(String(cString: reason))
        }
        table.deallocate()
        throw .noCompiler(tried: tried)
    }

    /// `MINIMA_NVRTC` alone where it is set. Else what is beside libtorch, which the driver is known to
    /// suit, then what the loader finds, then the usual places of the CUDA toolkit.
    static func candidates(environment: [String: String]) -> [String] {
        if let named = environment["MINIMA_NVRTC"], !named.isEmpty { return [named] }
        func present(in folders: [String]) -> [String] {
            folders.flatMap { folder in names.map { "\(folder)/\($0)" } }
                .filter(FileManager.default.fileExists(atPath:))
        }
        return present(in: besideTorch()) + names + present(in: toolkitFolders())
    }

    /// PyPI's packages of NVRTC are installed in a folder beside that of torch.
    static func besideTorch() -> [String] {
        guard let library = ccuda_loaded_library("libc10.so") else { return [] }
        // …/site-packages/torch/lib/libc10.so
        let parts = String(cString: library).split(
            separator: "/", omittingEmptySubsequences: false)
        let torch = parts.dropLast(1).joined(separator: "/")
        let packages = parts.dropLast(3).joined(separator: "/")
        return [torch, "\(packages)/nvidia/cu13/lib", "\(packages)/nvidia/cuda_nvrtc/lib"]
    }

    /// `/usr/local/cuda` first, which is the one that the machine's owner chose.
    private static func toolkitFolders() -> [String] {
        let local = "/usr/local"
        // A machine without that folder has no toolkit there either.
        let installed = (try? FileManager.default.contentsOfDirectory(atPath: local)) ?? []
        return installed.filter { $0 == "cuda" || $0.hasPrefix("cuda-") }.sorted()
            .flatMap { toolkit in
                ["lib64", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"]
                    .map { "\(local)/\(toolkit)/\($0)" }
            }
    }
}
