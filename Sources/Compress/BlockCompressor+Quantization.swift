import Artifacts
import Models
import TensorNetworks
import Tensors

// Without refinement a matrix is quantised as soon as it is fitted, so that the fits behind it make good what that
// loses. What is refined is trained first, in float32.
extension BlockCompressor {
    /// Whether what is stored as `type` is quantised when it is fitted.
    func isQuantizedNow(_ type: ElementType) -> Bool { type.isQuantized && refinement == nil }

    /// A refined matrix as it will be stored.
    /// - Parameter moment: of a layer's inputs.
    func quantized(
        _ fitted: Fitted, _ layer: Int, moment: (Projection) -> SecondMoment?
    ) throws -> Fitted {
        guard fitted.matrix.patches.contains(where: { $0.elementType.isQuantized }) else {
            return fitted
        }
        let objective = try FitObjective(
            weight: fitted.weight.dense(), moment: moment(projection(of: fitted, layer)))
        return fitted.replacing(
            try zip(fitted.matrix.patches, fitted.patches).map { stored, patch in
                guard stored.elementType.isQuantized else { return patch }
                let part = try objective.patch(
                    rows: patch.region.rows, columns: patch.region.columns, given: nil)
                return PatchedMatrix.Patch(
                    patch.region,
                    try patch.weight.quantized(as: stored.elementType, for: part, rounding))
            })
    }

    func projection(of fitted: Fitted, _ layer: Int) -> Projection {
        guard
            let projection = Projection.allCases.first(where: {
                configuration.module($0, ofLayer: layer).name == fitted.matrix.name
            })
        else { preconditionFailure("a block holds the matrices that are fitted in it") }
        return projection
    }
}

extension BlockCompressor.Fitted {
    var isQuantized: Bool { matrix.patches.contains { $0.elementType.isQuantized } }
}

extension Linear.Weight {
    /// The same with values of one byte.
    /// - Precondition: it is not cut into patches, which are quantised one by one.
    func quantized(
        as type: ElementType, for objective: FitObjective, _ rounding: WeightRounding
    ) throws -> Linear.Weight {
        switch self {
        case .dense(let matrix):
            .quantized(
                try QuantizedNetwork(quantizing: matrix, as: type, for: objective, rounding))
        case .network(let network):
            .quantized(try network.quantized(as: type, for: objective, rounding))
        case .quantized:
            self
        case .patches:
            preconditionFailure("patches are quantised one by one")
        }
    }
}

extension ElementType {
    /// What values are held in while they change.
    var beforeQuantization: ElementType { isQuantized ? .float32 : self }
}
