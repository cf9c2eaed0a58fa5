import CTorch

/// Where a tensor's elements live.
package enum Device: Hashable, Sendable, CustomStringConvertible {
    case cpu
    case cuda(Int)

    /// The first CUDA device where libtorch sees one, else the CPU.
    package static var best: Device {
        TorchRuntime.cudaDeviceCount > 0 ? .cuda(0) : .cpu
    }

    package var description: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let index): "cuda:\(index)"
        }
    }

    var kind: ct_device_kind {
        switch self {
        case .cpu: CT_CPU
        case .cuda: CT_CUDA
        }
    }

    var index: Int32 {
        switch self {
        case .cpu: 0
        case .cuda(let index): Int32(index)
        }
    }

    init(kind: ct_device_kind, index: Int32) {
        self = kind == CT_CUDA ? .cuda(Int(index)) : .cpu
    }
}
