import Artifacts
import TensorNetworks

extension CompressionPlan {
    /// The same format and share for every linear layer of the blocks; values keep the type that the
    /// checkpoint stores the weight in.
    package init(
        uniform settings: CompressionSettings, for checkpoint: Checkpoint,
        _ configuration: ModelConfiguration, source: Fingerprint
    ) throws {
        guard settings.keep > 0, settings.keep < 1 else { throw CompressError.keep(settings.keep) }
        var matrices: [MatrixPlan] = []
        for module in configuration.linearModules {
            let budget = Int(settings.keep * Double(module.rows * module.columns))
            guard
                let format = Format.fitting(
                    settings.format, rows: module.rows, columns: module.columns, parameters: budget,
                    rankMultiple: Self.rankMultiple(min(module.rows, module.columns))),
                let weight = checkpoint.info(module.weight.name)
            else {
                throw CompressError.nothingFits(
                    matrix: module.name, format: settings.format.rawValue, keep: settings.keep)
            }
            matrices.append(MatrixPlan(module, format, as: weight.elementType))
        }
        self.init(source: source, settings: settings.description, matrices: matrices)
    }

    /// Ranks are multiples of 16, which tensor cores and 16-byte loads want, where that costs little:
    /// on sides below 1,024 rounding down would give away several per cent of the budget.
    static func rankMultiple(_ smallerSide: Int) -> Int { smallerSide >= 1_024 ? 16 : 1 }
}
