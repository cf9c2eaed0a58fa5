import Artifacts
import Models
import Text

/// What guesses ahead, and how far.
package struct Speculation {
    package enum Source {
        case none
        /// What followed the last tokens where they stood before (prompt look-up).
        case lookUp
        case draft(DraftModel)
    }

    package let source: Source
    /// Tokens of a draft; `nil`: as many as pay.
    package let length: Int?

    package static var none: Speculation { Speculation(.none) }
    /// The longest draft.
    package static let limit = 7

    package init(_ source: Source, length: Int? = nil) {
        (self.source, self.length) = (source, length)
    }

    package var isOn: Bool {
        if case .none = source { false } else { true }
    }

    /// Layers whose inputs it reads, of a target of `depth` layers.
    func tappedLayers(of depth: Int) -> [Int] {
        if case .draft(let model) = source { model.tappedLayers(of: depth) } else { [] }
    }
}

/// A model's runner and what guesses ahead of it.
package struct SpeculatingRunner {
    package let runner: any StepRunner
    package let drafter: (any Drafter)?
    package let length: Int?
    /// What is slower than it could be, and why; `nil` where nothing is.
    package let note: String?
}

extension Executor {
    /// A runner, see `runner`, with what guesses ahead of it, whose states wait in `spill` too.
    package func speculating(
        _ speculation: Speculation, blocks: Int, spill: Int = 0, noise: UInt64? = nil
    ) throws -> SpeculatingRunner {
        var spill = spill
        if case .draft(let model) = speculation.source {
            let own = PagedCache.byteCount(
                model.configuration.layer, blocks: 1, blockTokens: Self.blockTokens,
                as: Self.cacheType(model.embedding.elementType, on: model.embedding.device))
            spill = spill / (blockBytes + own) * blockBytes
        }
        let runner = try runner(
            blocks: blocks, spill: spill, noise: noise,
            tapping: speculation.tappedLayers(of: model.configuration.layerCount))
        let limit = min(Speculation.limit, speculation.length ?? .max)
        var (drafter, note) = ((any Drafter)?.none, String?.none)
        switch speculation.source {
        case .none: break
        case .lookUp: drafter = LookUpDrafter(limit: limit)
        case .draft(let model):
            (drafter, note) = try self.drafter(model, behind: runner, limit: limit, noise: noise)
        }
        return SpeculatingRunner(
            runner: runner, drafter: drafter, length: speculation.length, note: note)
    }

    /// What guesses with `model`: the GPU's own kernels where they know it and the target, or else libtorch; on a CPU its
    /// routines.
    /// - Returns: what is slower than it could be, beside it.
    func drafter(
        _ model: DraftModel, behind runner: any StepRunner, limit: Int, noise: UInt64? = nil
    ) throws -> (drafter: any Drafter, note: String?) {
        func byLibtorch() throws -> ModelDrafter {
            try ModelDrafter(model, behind: runner, of: self, limit: limit, noise: noise)
        }
        func note(_ reason: String) -> String {
            "drafted by libtorch, without kernels of our own: \(reason)"
        }
        switch backend {
        case .host: return (try byLibtorch(), nil)
        case .libtorch(let reason):
            return (try byLibtorch(), note("the model itself has \(reason)"))
        case .device(let target):
            do {
                let drafter = try DeviceDrafter(
                    model, behind: runner, of: target, limit: limit, noise: noise)
                return (drafter, nil)
            } catch let error as DeviceModelError {
                return (try byLibtorch(), note(error.description))
            }
        }
    }
}

extension Engine {
    package convenience init(
        _ speculating: SpeculatingRunner, _ configuration: ModelConfiguration,
        tokenizer: Tokenizer, limits: Scheduler.Limits = .init()
    ) {
        self.init(
            speculating.runner, configuration, tokenizer: tokenizer, limits: limits,
            drafter: speculating.drafter, draftLength: speculating.length)
    }
}
