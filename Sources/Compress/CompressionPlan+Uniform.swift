import Artifacts
import TensorNetworks

extension CompressionPlan {
    /// The same format and share for every linear layer of the blocks; values keep the type that the
    /// checkpoint stores the weight in.
    package init(
        uniform kind: Format.Kind, keep: Double, for checkpoint: Checkpoint,
        _ configuration: ModelConfiguration, source: Fingerprint
    ) throws {
        guard keep > 0, keep < 1 else { throw CompressError.keep(keep) }
        var matrices: [MatrixPlan] = []
        for module in configuration.linearModules {
            let budget = Int(keep * Double(module.rows * module.columns))
            guard
                let format = Format.fitting(
                    kind, rows: module.rows, columns: module.columns, parameters: budget,
                    rankMultiple: Self.rankMultiple(min(module.rows, module.columns))),
                let weight = checkpoint.info(module.weight.name)
            else {
                throw CompressError.nothingFits(
                    matrix: module.name, format: kind.rawValue, keep: keep)
            }
            matrices.append(MatrixPlan(module, format, as: weight.elementType))
        }
        self.init(
            source: source,
            settings: [
                "planner": .string("uniform"), "format": .string(kind.rawValue),
                "keep": .number(keep),
            ], matrices: matrices)
    }

    /// Ranks are multiples of 16, which tensor cores and 16-byte loads want, where that costs little:
    /// on sides below 1,024 rounding down would give away several per cent of the budget.
    package static func rankMultiple(_ smallerSide: Int) -> Int { smallerSide >= 1_024 ? 16 : 1 }
}
