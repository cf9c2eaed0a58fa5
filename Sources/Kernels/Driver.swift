import CCUDA

/// The functions of the CUDA driver, `libcuda.so.1`.
struct Driver: Sendable {
    /// Lives as long as the process and is not written after loading.
    nonisolated(unsafe) private let functions: UnsafePointer<CCUDADriver>

    /// The driver of this machine, looked for once.
    static let shared = Result { () throws(CUDAError) in
        try Driver(libraries: ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"])
    }

    /// The first of `libraries`, names or paths, that is there and has every function.
    init(libraries: [String]) throws(CUDAError) {
        let table = UnsafeMutablePointer<CCUDADriver>.allocate(capacity: 1)
        var tried: [String] = []
        for library in libraries {
            guard let reason = ccuda_open_driver(library, table) else {
                self.init(functions: table)
                return
            }
            tried.append(String(cString: reason))
        }
        table.deallocate()
        throw .noDriver(tried: tried)
    }

    /// - Parameter functions: never freed nor changed afterwards.
    init(functions: UnsafePointer<CCUDADriver>) {
        self.functions = functions
    }

    /// - Parameter function: the name of what `body` calls, for the error.
    func call(
        _ function: String, _ body: (UnsafePointer<CCUDADriver>) -> CUresult
    ) throws(CUDAError) {
        let code = body(functions)
        guard code == CUDA_SUCCESS else {
            throw .failed(function: function, code: code, reason: reason(code))
        }
    }

    /// For `deinit`: what cannot be freed is gone with its context, and nobody is left to tell.
    func release(_ body: (UnsafePointer<CCUDADriver>) -> CUresult) {
        _ = body(functions)
    }

    /// Whether the driver can tell the parameters of a function: since CUDA 12.4.
    var knowsParameters: Bool { functions.pointee.cuFuncGetParamInfo != nil }

    /// As in `CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)`.
    private func reason(_ code: CUresult) -> String {
        var name: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        guard functions.pointee.cuGetErrorName(code, &name) == CUDA_SUCCESS, let name,
            functions.pointee.cuGetErrorString(code, &text) == CUDA_SUCCESS, let text
        else { return "an error that this driver has no name for" }
        return "\(String(cString: name)) (\(String(cString: text)))"
    }
}
