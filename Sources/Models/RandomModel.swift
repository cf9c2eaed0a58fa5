import Artifacts
import Tensors

/// A model of some configuration with random weights, each tensor made when it is asked for: the same
/// values every time on the same kind of device.
package struct RandomModel {
    package let configuration: ModelConfiguration
    package let seed: UInt64
    private let places: [String: (index: Int, shape: [Int])]

    package init(_ configuration: ModelConfiguration, seed: UInt64 = 0) {
        self.configuration = configuration
        self.seed = seed
        places = Dictionary(
            configuration.expectedTensors.enumerated().map { ($1.name, ($0, $1.shape)) },
            uniquingKeysWith: { first, _ in first })
    }

    /// Matrices are normal with variance 1 / columns, so that activations keep their size; norms are 1
    /// and biases 0.
    func tensor(_ name: String, as type: ElementType, on device: Device) throws -> Tensor {
        guard let (index, shape) = places[name] else {
            preconditionFailure("a model is asked for the tensors of its own configuration")
        }
        guard shape.count == 2 else {
            return try Tensor.full(shape, name.hasSuffix("bias") ? 0 : 1, type, on: device)
        }
        let seed = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index)
        let values = try Tensor.noise(shape, seed: seed, on: device)
        try values.scale(by: 1 / Double(shape[1]).squareRoot())
        return try values.converted(to: type)
    }
}
