import Artifacts
import Calibration
import Models
import TensorNetworks
import Tensors

/// Fits candidates of one matrix to its second moments, as compression does.
struct CandidateFit {
    private let objective: FitObjective
    /// The same without shrinkage and output moment: what a layer's outputs lose on the text.
    private let outputs: FitObjective
    private let elementType: ElementType
    private let spectrum: Spectrum

    /// Made when a low rank is first asked for: one eigenproblem serves all ranks.
    private final class Spectrum {
        private var known: WeightedSpectrum?

        func of(_ objective: FitObjective) throws -> WeightedSpectrum {
            if let known { return known }
            let made = try WeightedSpectrum(of: objective)
            known = made
            return made
        }
    }

    /// - Parameters:
    ///   - weight: W `[rows, columns]`.
    ///   - input: A, unshrunk.
    ///   - output: G, unshrunk.
    ///   - elementType: what the candidates' values are stored as.
    init(
        weight: Tensor, input: Tensor, output: Tensor, shrinkage: Double, outputShrinkage: Double,
        as elementType: ElementType, name: String
    ) throws {
        let (rows, columns) = (weight.shape[0], weight.shape[1])
        objective = try FitObjective(
            weight: weight,
            moment: SecondMoment(
                input, size: columns, shrinkage: shrinkage, name: "the input moment of \(name)"),
            output: SecondMoment(
                output, size: rows, shrinkage: outputShrinkage,
                name: "the output moment of \(name)"))
        outputs = try FitObjective(
            weight: weight,
            moment: SecondMoment(
                input, size: columns, shrinkage: 0, name: "the input moment of \(name)"))
        self.elementType = elementType
        spectrum = Spectrum()
    }

    /// Ŵ `[rows, columns]` in float64 with its values rounded as they are stored, and
    /// E‖(W − Ŵ)x‖² / E‖Wx‖².
    func fit(_ format: Format) throws -> (weight: Tensor, outputError: Double) {
        let network = try network(format).stored(as: elementType, for: objective)
        let weight = try network.mapTensors {
            $0.elementType.isFloatingPoint ? try $0.converted(to: .float64) : $0
        }.reconstructed()
        return (weight, try outputs.relativeError(of: weight))
    }

    private func network(_ format: Format) throws -> Factorization {
        switch format {
        case .lowRank(let rank):
            .lowRank(try spectrum.of(objective).lowRank(rank))
        case .pivotedLowRank(let rank):
            .pivotedLowRank(try spectrum.of(objective).lowRank(rank).pivoted())
        default:
            try Factorization.fit(objective, format: format).factorization
        }
    }
}
