import Artifacts
import Compress
import Models
import TensorNetworks

extension CompressionPlan {
    /// Basis Sharing (arXiv 2410.03765): one projection of neighbouring blocks shares its input factor, whose
    /// values count once; ranks are as large as a share `keep` of each group's values allows, and at most
    /// the projection's outputs.
    /// - Parameter groupSize: neighbouring blocks of a group; a last smaller one is what remains.
    init(
        basisSharing keep: Double, groupSize: Int = 2, of shared: Set<Projection>,
        for checkpoint: Checkpoint, _ configuration: ModelConfiguration, source: Fingerprint
    ) throws {
        var matrices: [MatrixPlan] = []
        for projection in Projection.allCases {
            let size = shared.contains(projection) ? groupSize : 1
            for first in stride(from: 0, to: configuration.layerCount, by: size) {
                let modules = (first..<min(first + size, configuration.layerCount)).map {
                    configuration.module(projection, ofLayer: $0)
                }
                let (rows, columns) = (modules[0].rows, modules[0].columns)
                let count = modules.count
                let side = min(rows, columns)
                let budget = Int(keep * Double(count * rows * columns))
                let multiple = Self.rankMultiple(side)
                let rank = min(side, budget / (count * rows + columns)) / multiple * multiple
                guard rank > 0 else {
                    throw CompressError.nothingFits(
                        matrix: modules[0].name, format: "shared low rank", keep: keep)
                }
                for (index, module) in modules.enumerated() {
                    matrices.append(
                        MatrixPlan(
                            module, .lowRank(rank: rank),
                            as: checkpoint.info(module.weight.name)?.elementType ?? .bfloat16,
                            sharingInputOf: index == 0 ? nil : modules[0].name))
                }
            }
        }
        let order = Dictionary(
            configuration.linearModules.enumerated().map { ($1.name, $0) },
            uniquingKeysWith: { first, _ in first })
        matrices.sort { (order[$0.name] ?? 0) < (order[$1.name] ?? 0) }
        self.init(
            source: source,
            settings: [
                "planner": .string("basis-sharing"), "keep": .number(keep),
                "blocks": .integer(groupSize),
                "shared": .array(
                    Projection.allCases.filter(shared.contains).map { .string($0.rawValue) }),
            ], matrices: matrices)
    }
}
