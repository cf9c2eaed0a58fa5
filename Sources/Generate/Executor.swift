import CCUDA
import Models
import Tensors

/// What computes a model's steps where it is, chosen in one place: the CPU's own routines, the GPU's own kernels, or
/// libtorch for a model that the kernels do not know.
package final class Executor {
    package enum Backend {
        case host(HostModel)
        case device(DeviceModel)
        /// Right, and slower.
        case libtorch(reason: String)
    }

    package let model: CausalLanguageModel
    package let backend: Backend
    /// What keys and values are kept in.
    package let cacheType: ElementType

    /// - Parameters:
    ///   - cache: what keys and values are kept in, if not in the model's type (on a CPU: float32).
    ///   - contracting: on a GPU, see `DeviceModel`.
    /// - Throws: where a GPU's kernels would do and cannot be had: without a compiler for them, on an old GPU.
    package init(
        _ model: CausalLanguageModel, cache: ElementType? = nil, contracting: Bool? = nil
    ) throws {
        self.model = model
        cacheType = cache ?? Self.cacheType(model.ends.embedding.elementType, on: model.device)
        if model.device == .cpu {
            backend = .host(try HostModel(model))
            return
        }
        do {
            backend = .device(try DeviceModel(model, contracting: contracting))
        } catch let error as DeviceModelError {
            backend = .libtorch(reason: error.description)
        }
    }

    /// As the GPU's kernels have it, which are compiled for it.
    package static let blockTokens = Int(BLOCK_TOKENS)

    /// What the caches of models of `type` hold if nothing else is asked for.
    package static func cacheType(_ type: ElementType, on device: Device) -> ElementType {
        device == .cpu ? .float32 : type
    }

    /// A runner with a cache of its own, of blocks of 64 tokens.
    /// - Parameters:
    ///   - spill: bytes of the host that may hold keys and values of requests that gave their blocks back.
    ///   - noise: seed of what the cache holds at first, for measurements.
    ///   - tapped: layers whose inputs a draft model reads.
    package func runner(
        blocks: Int, spill: Int = 0, noise: UInt64? = nil, tapping tapped: [Int] = []
    ) throws -> any StepRunner {
        let spill = spill / blockBytes
        switch backend {
        case .host(let host):
            return try HostRunner(
                host, blocks: blocks, blockTokens: Self.blockTokens, spill: spill, noise: noise,
                tapping: tapped)
        case .device(let device):
            return try DeviceRunner(
                device, blocks: blocks, as: cacheType, spill: spill, noise: noise, tapping: tapped)
        case .libtorch:
            return try ModelRunner(
                model, blocks: blocks, blockTokens: Self.blockTokens, as: cacheType, spill: spill,
                noise: noise, tapping: tapped)
        }
    }

    /// Keys and values of a block's tokens, of all layers.
    package var blockBytes: Int {
        PagedCache.byteCount(
            model.configuration, blocks: 1, blockTokens: Self.blockTokens, as: cacheType)
    }

    /// What is slower than it could be, and why; `nil` where nothing is.
    package var note: String? {
        switch backend {
        case .host(let host):
            // By their kinds alone: sizes differ from matrix to matrix.
            let kinds = Set(host.contractedByLibtorch.map { String($0.prefix { $0 != "(" }) })
            return kinds.isEmpty
                ? nil
                : "contracted by libtorch, without a routine of their own: "
                    + kinds.sorted().joined(separator: ", ")
        case .device(let device):
            let formats = device.multipliedOut.joined(separator: ", ")
            let notes = [
                formats.isEmpty
                    ? nil
                    : "multiplied out, so that they decode as dense matrices, for want of a faster kernel: "
                        + formats,
                device.isContracting
                    ? "contracted tensor by tensor, which is slower, for want of memory to multiply networks out"
                    : nil,
            ].compactMap { $0 }
            return notes.isEmpty ? nil : notes.joined(separator: "; ")
        case .libtorch(let reason):
            return "decoded by libtorch, without kernels of our own: \(reason)"
        }
    }
}
