import CCUDA
import Kernels

/// What stands between the products of a draft model's passes on a GPU.
final class DraftKernels {
    private let features: Kernel
    private let input: Kernel
    private let output: Kernel
    /// Kernels may begin before the one in front has ended.
    private let overlaps: Bool

    /// Threads of a block that takes a row, as draft.cu has them.
    private static let threads = 512

    init(_ device: CUDADevice) throws {
        let module = try KernelModule(
            KernelCompiler().compile(.draft, for: device.architecture), on: device)
        features = try module.kernel("draftFeatures")
        input = try module.kernel("draftInput")
        output = try module.kernel("draftOutput")
        overlaps = device.computeCapability.major >= 9
    }

    /// The first of a draft's kernels: it waits for all that was queued before.
    func round(_ arguments: DraftFeaturesArguments, columns: Int, on stream: CUDAStream) throws {
        try features.launch(
            grid: (columns, 4, 1), block: 256, arguments: KernelArguments(arguments), on: stream)
    }

    func enter(_ arguments: DraftInputArguments, columns: Int, on stream: CUDAStream) throws {
        try input.launch(
            grid: (columns, 1, 1), block: Self.threads, arguments: KernelArguments(arguments),
            on: stream, dependent: overlaps)
    }

    func leave(_ arguments: DraftOutputArguments, sequences: Int, on stream: CUDAStream) throws {
        try output.launch(
            grid: (sequences, 1, 1), block: Self.threads, arguments: KernelArguments(arguments),
            on: stream, dependent: overlaps)
    }
}
