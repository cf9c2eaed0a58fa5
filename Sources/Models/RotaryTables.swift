// Rotary position embedding (Su et al. 2021, arXiv 2104.09864) in the half-split layout that Hugging
// Face checkpoints use: dimension i of a head pairs with dimension i + headDim/2.
import Artifacts
import Foundation
import Tensors

/// Turns queries and keys by angles that grow with their position.
package final class RotaryTables {
    /// Angle per position of every pair, `headDim / 2` of them.
    let inverseFrequencies: [Double]
    /// Factor on cosine and sine; 1 but for YaRN.
    let attentionFactor: Double

    private let type: ElementType
    private let device: Device
    /// `[positions, 1, headDim / 2]`, grown when a longer sequence comes.
    private var tables: (cosines: Tensor, sines: Tensor, positions: Int)?

    package init(_ configuration: ModelConfiguration, type: ElementType, device: Device) {
        (inverseFrequencies, attentionFactor) = Self.frequencies(
            configuration.rotary, headDimension: configuration.headDim)
        self.type = type
        self.device = device
    }

    /// Cosines and sines for `positions`, each `[positions, 1, headDim / 2]`.
    package func angles(
        at positions: Range<Int>
    ) throws -> (cosines: Tensor, sines: Tensor) {
        let tables = try self.tables(for: positions.upperBound)
        return (
            try tables.cosines.narrowed(0, positions), try tables.sines.narrowed(0, positions)
        )
    }

    /// The same for positions in any order.
    package func angles(at positions: [Int]) throws -> (cosines: Tensor, sines: Tensor) {
        let tables = try self.tables(for: (positions.max() ?? 0) + 1)
        let places = try Tensor(positions, shape: [positions.count], on: device)
        return (
            try tables.cosines.selecting(places, along: 0),
            try tables.sines.selecting(places, along: 0)
        )
    }

    /// Tables of at least `positions` positions.
    private func tables(for positions: Int) throws -> (cosines: Tensor, sines: Tensor) {
        if tables.map({ $0.positions < positions }) ?? true {
            let count = max(256, positions + positions / 2)
            let frequencies = try Tensor(
                inverseFrequencies.map(Float.init), shape: [1, 1, inverseFrequencies.count])
            // float32 throughout, as the reference computes them, then rounded once.
            let angles =
                try Tensor.range(to: Double(count), .float32).reshaped([count, 1, 1]) * frequencies
            tables = (
                try (angles.cos() * attentionFactor).to(type, device),
                try (angles.sin() * attentionFactor).to(type, device), count
            )
        }
        guard let tables else { preconditionFailure("tables were just made") }
        return (tables.cosines, tables.sines)
    }

    /// - Parameters:
    ///   - x: `[batch, tokens, heads, headDim]`.
    ///   - angles: of the tokens' positions.
    package static func rotate(
        _ x: Tensor, by angles: (cosines: Tensor, sines: Tensor)
    ) throws -> Tensor {
        try x.rotated(cosines: angles.cosines, sines: angles.sines)
    }

    // MARK: Frequencies

    private static func frequencies(
        _ rope: RotaryEmbedding, headDimension: Int
    ) -> ([Double], Double) {
        let plain = stride(from: 0, to: headDimension, by: 2).map {
            1 / pow(rope.theta, Double($0) / Double(headDimension))
        }
        switch rope.scaling {
        case .none:
            return (plain, 1)
        case .linear(let factor):
            return (plain.map { $0 / factor }, 1)
        case .llama3(let llama3):
            return (plain.map { self.llama3($0, llama3) }, 1)
        case .yarn(let yarn):
            return (
                self.yarn(plain, yarn, theta: rope.theta, headDimension: headDimension),
                yarn.attentionFactor
            )
        }
    }

    /// Llama 3.1: long wavelengths are divided by `factor`, short ones kept, those between blended.
    private static func llama3(
        _ frequency: Double, _ scaling: RotaryEmbedding.Llama3
    ) -> Double {
        let (low, high) = (scaling.lowFrequencyFactor, scaling.highFrequencyFactor)
        // Turns over the context that the model was first trained on.
        let turns = Double(scaling.originalPositions) * frequency / (2 * Double.pi)
        if turns < low { return frequency / scaling.factor }
        if turns > high { return frequency }
        let smooth = (turns - low) / (high - low)
        return (1 - smooth) * frequency / scaling.factor + smooth * frequency
    }

    /// YaRN (Peng et al. 2023, arXiv 2309.00071), section 3.2: dimensions that turn more than
    /// `betaFast` times over the original context are kept, those under `betaSlow` interpolated.
    private static func yarn(
        _ plain: [Double], _ yarn: RotaryEmbedding.YaRN, theta: Double, headDimension: Int
    ) -> [Double] {
        func dimension(turning rotations: Double) -> Double {
            Double(headDimension)
                * log(Double(yarn.originalPositions) / (rotations * 2 * Double.pi))
                / (2 * log(theta))
        }
        var low = dimension(turning: yarn.betaFast)
        var high = dimension(turning: yarn.betaSlow)
        if yarn.truncatesRange { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = max(low, 0)
        high = min(high, Double(headDimension - 1))
        if low == high { high += 0.001 }
        return plain.enumerated().map { index, frequency in
            let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
            return frequency / yarn.factor * ramp + frequency * (1 - ramp)
        }
    }
}
