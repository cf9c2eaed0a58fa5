import Artifacts
import TensorNetworks
import Tensors

extension CompressionPlan {
    /// Every linear layer of a configuration in the largest format of `kind` that takes at most a share of its values:
    /// what is measured where there is no model to plan for.
    ///
    /// Ranks of pairs are multiples of 64, of 8 where the matrix's smaller side is below 512, of 1 below 64, and of
    /// the next smaller number where none fits; those of other formats are multiples of 16, of 1 below 1,024.
    /// - Parameter rankMultiple: instead of these.
    package init(
        share: Double, as kind: Format.Kind, of configuration: ModelConfiguration,
        type: ElementType, rankMultiple: Int? = nil
    ) throws(ShareError) {
        var matrices: [MatrixPlan] = []
        for module in configuration.linearModules {
            guard let format = Self.format(kind, of: module, share: share, rankMultiple) else {
                throw ShareError(
                    matrix: module.name, rows: module.rows, columns: module.columns, kind: kind,
                    share: share)
            }
            matrices.append(MatrixPlan(module, format, as: type))
        }
        self.init(
            source: Fingerprint(hashing: [configuration.source]),
            settings: [
                "planner": .string("share"), "format": .string(kind.rawValue),
                "keep": .number(share),
            ], matrices: matrices)
    }

    private static func format(
        _ kind: Format.Kind, of module: LinearModule, share: Double, _ rankMultiple: Int?
    ) -> Format? {
        let side = min(module.rows, module.columns)
        let isPair = kind == .lowRank || kind == .pivotedLowRank
        let standard =
            isPair
            ? [64, 8, 1].filter { $0 == 1 || side >= 8 * $0 } : [side >= 1_024 ? 16 : 1]
        let budget = Int(share * Double(module.rows * module.columns))
        for multiple in rankMultiple.map({ [$0] }) ?? standard {
            if let format = Format.fitting(
                kind, rows: module.rows, columns: module.columns, parameters: budget,
                rankMultiple: multiple)
            {
                return format
            }
        }
        return nil
    }
}

/// A share that a format cannot keep to.
package struct ShareError: Error, Equatable, CustomStringConvertible {
    let matrix: String
    let rows: Int
    let columns: Int
    let kind: Format.Kind
    let share: Double

    package var description: String {
        "no \(kind.rawValue) format holds '\(matrix)' (\(rows) × \(columns)) in a share of \(share) of its values"
    }
}
