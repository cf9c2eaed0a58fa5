// The model of a benchmark with what computes its steps, chosen in one place for all of them.
import Artifacts
import Generate
import Models
import Tensors

package struct MeasuredModel {
    package let model: CausalLanguageModel
    let executor: Executor
    /// Tokens of a block of the caches, as the engine has them.
    static let blockTokens = Executor.blockTokens

    package init(_ model: CausalLanguageModel, cache: ElementType? = nil) throws {
        self.model = model
        executor = try Executor(model, cache: cache)
    }

    /// What is the same in all measurements of a model.
    package struct Facts: Sendable {
        package let variant: ModelVariant
        /// Linear parameters, as a share of the dense model's.
        package let keep: Double
        /// Type of the cached keys and values, as in "bf16".
        package let kv: String
    }

    var facts: Facts {
        let configuration = model.configuration
        let dense = configuration.linearModules.reduce(0) { $0 + $1.rows * $1.columns }
        let isDense = model.blocks.allSatisfy { block in
            Projection.allCases.allSatisfy {
                if case .dense = block[$0].weight { true } else { false }
            }
        }
        return Facts(
            variant: isDense ? .dense : .compressed,
            keep: Double(model.linearParameterCount) / Double(dense),
            kv: executor.cacheType.shortName)
    }

    /// What is slower than it could be, and why.
    package var note: String? { executor.note }

    /// With a cache that is full of random values: zeros may be read faster.
    func runner(blocks: Int) throws -> any StepRunner {
        try executor.runner(blocks: blocks, noise: 5)
    }

    /// Blocks that a sequence of so many tokens takes.
    static func blocks(for tokens: Int) -> Int { (tokens + blockTokens - 1) / blockTokens }

    /// Memory that a bandwidth is measured on: more than processors' caches hold.
    static let readBytes = 512 << 20

    /// Bytes per second that are read at best, by the threads that the runner computes with.
    func readBandwidth(_ stopwatch: Stopwatch) throws -> Double {
        guard case .host(let host) = executor.backend else {
            return try stopwatch.readBandwidth(bytes: Self.readBytes)
        }
        var seconds = Double.infinity
        try host.readMemory(Self.readBytes) { read in
            seconds = try stopwatch.time { _ in read() }
        }
        return Double(Self.readBytes) / seconds
    }
}

extension ElementType {
    fileprivate var shortName: String {
        switch self {
        case .float8e4m3, .float8e5m2: "fp8"
        default: rawValue.lowercased()
        }
    }
}
