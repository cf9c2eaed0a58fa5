/// What keeps kernels from being compiled or run. The description is for the user.
package enum CUDAError: Error, Equatable, CustomStringConvertible {
    /// Each entry of `tried` says what was looked for and what was found instead.
    case noDriver(tried: [String])
    case noCompiler(tried: [String])
    case noDevice(ordinal: Int, count: Int)
    case unsupportedDevice(name: String, major: Int, minor: Int)
    case outOfMemory(requested: Int, free: Int, total: Int)
    /// - Parameter log: what NVRTC said.
    case compilation(kernel: String, architecture: String, log: String)
    case loading(kernel: String, architecture: String, reason: String)
    case missingFunction(String, kernel: String)
    /// A function of the driver or of NVRTC refused; `reason` is the library's own.
    case failed(function: String, code: Int32, reason: String)

    package var description: String {
        switch self {
        case .noDriver(let tried):
            "no CUDA driver was found; tried \(tried.joined(separator: "; "))"
        case .noCompiler(let tried):
            """
            NVRTC, the compiler of CUDA kernels, was not found; install the PyPI package \
            nvidia-cuda-nvrtc or name the library in MINIMA_NVRTC; tried \
            \(tried.joined(separator: "; "))
            """
        case .noDevice(let ordinal, let count):
            "there is no CUDA device \(ordinal): the driver sees \(count)"
        case .unsupportedDevice(let name, let major, let minor):
            """
            \(name) has compute capability \(major).\(minor); the kernels need 8.0 (Ampere) or newer
            """
        case .outOfMemory(let requested, let free, let total):
            """
            out of GPU memory: \(requested.mebibytes(.up)) asked for, \
            \(free.mebibytes(.down)) of \(total.mebibytes(.down)) free
            """
        case .compilation(let kernel, let architecture, let log):
            "kernel \(kernel) does not compile for \(architecture):\n\(log)"
        case .loading(let kernel, let architecture, let reason):
            "the driver refuses kernel \(kernel), compiled for \(architecture): \(reason)"
        case .missingFunction(let name, let kernel):
            "kernel \(kernel) has no function \(name)"
        case .failed(let function, let code, let reason):
            "\(function) failed with \(code): \(reason)"
        }
    }
}

extension Int {
    /// Rounded so that a request that does not fit never looks as if it did.
    fileprivate func mebibytes(_ rule: FloatingPointRoundingRule) -> String {
        "\(Int((Double(self) / 0x1p20).rounded(rule))) MiB"
    }
}
