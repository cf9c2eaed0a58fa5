import Artifacts
import TensorNetworks
import Tensors

/// A model of some configuration with random weights, each tensor made when it is asked for: the same
/// values every time on the same kind of device. What a plan compresses is made as the parts of its
/// networks, and never as the matrix.
package struct RandomModel {
    package let configuration: ModelConfiguration
    package let seed: UInt64
    /// What stands for the matrices that are compressed.
    package let manifest: CompressionManifest?
    private let places: [String: Place]

    private struct Place {
        let index: Int
        let shape: [Int]
        /// Of a network; `nil` for a tensor of the dense model.
        var part: RandomPart?
        /// What its values are quantised to; `nil` where they are not.
        var quantized: ElementType?
        /// Whether it is the scales of the part.
        var isScales = false
    }

    package init(_ configuration: ModelConfiguration, seed: UInt64 = 0) {
        self.configuration = configuration
        self.seed = seed
        manifest = nil
        places = Self.densePlaces(configuration)
    }

    /// - Parameter plan: of all linear layers of the configuration.
    /// - Throws: `RandomModelError`, or what is wrong with the plan itself.
    package init(
        _ configuration: ModelConfiguration, compressedBy plan: CompressionPlan, seed: UInt64 = 0
    ) throws {
        try Self.check(plan, against: configuration)
        let manifest = try CompressionManifest(
            source: plan.source, plan: plan,
            matrices: plan.matrices.filter(\.isCompressed).map(CompressedMatrix.init))
        var places = Self.densePlaces(configuration)
        var index = places.count
        for matrix in manifest.matrices {
            places["\(matrix.name).weight"] = nil
            for patch in matrix.patches {
                let drawn = try patch.format.randomParts(
                    rows: patch.region.rows.count, columns: patch.region.columns.count)
                for part in drawn {
                    guard let name = patch.tensors[part.part.name] else {
                        preconditionFailure("the manifest was checked to name every part")
                    }
                    let quantized =
                        patch.elementType.isQuantized && !part.part.isIndex
                        ? patch.elementType : nil
                    places[name] = Place(
                        index: index, shape: part.part.shape, part: part, quantized: quantized)
                    if quantized != nil,
                        let scales = patch.tensors[Format.scales(of: part.part.name)]
                    {
                        places[scales] = Place(
                            index: index, shape: [part.part.rows], part: part, quantized: quantized,
                            isScales: true)
                    }
                    index += 1
                }
            }
        }
        self.configuration = configuration
        self.seed = seed
        self.manifest = manifest
        self.places = places
    }

    private static func densePlaces(_ configuration: ModelConfiguration) -> [String: Place] {
        Dictionary(
            configuration.expectedTensors.enumerated().map {
                ($1.name, Place(index: $0, shape: $1.shape))
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Matrices are normal with variance 1 / columns, so that activations keep their size; norms are 1
    /// and biases 0.
    func tensor(_ name: String, as type: ElementType, on device: Device) throws -> Tensor {
        guard let place = places[name] else {
            preconditionFailure("a model is asked for the tensors of its own configuration")
        }
        let seed = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(place.index)
        if let part = place.part {
            guard let quantized = place.quantized else {
                return try part.values(seed: seed, as: type, on: device)
            }
            return place.isScales
                ? try part.scales(as: quantized, on: device)
                : try part.values(seed: seed, as: quantized, on: device)
        }
        guard place.shape.count == 2 else {
            return try Tensor.full(place.shape, name.hasSuffix("bias") ? 0 : 1, type, on: device)
        }
        let values = try Tensor.noise(place.shape, seed: seed, on: device)
        try values.scale(by: 1 / Double(place.shape[1]).squareRoot())
        return try values.converted(to: type)
    }

    private static func check(
        _ plan: CompressionPlan, against configuration: ModelConfiguration
    ) throws(RandomModelError) {
        let planned = Dictionary(
            plan.matrices.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var known: Set<String> = []
        for module in configuration.linearModules {
            known.insert(module.name)
            guard let matrix = planned[module.name] else { throw .missing(module.name) }
            guard matrix.rows == module.rows, matrix.columns == module.columns else {
                throw .size(
                    module.name, planned: [matrix.rows, matrix.columns],
                    expected: [module.rows, module.columns])
            }
        }
        if let other = plan.matrices.first(where: { !known.contains($0.name) }) {
            throw .unknown(other.name)
        }
    }
}

/// A plan that is not one of a configuration.
package enum RandomModelError: Error, Equatable, CustomStringConvertible {
    case missing(String)
    case unknown(String)
    case size(String, planned: [Int], expected: [Int])

    package var description: String {
        switch self {
        case .missing(let matrix):
            "the plan says nothing of '\(matrix)'; a matrix that stays as it is has format dense"
        case .unknown(let matrix):
            "the plan has '\(matrix)', which is not a linear layer of the configuration"
        case .size(let matrix, let planned, let expected):
            "the plan's '\(matrix)' is \(planned[0]) × \(planned[1]), the configuration's \(expected[0]) × \(expected[1])"
        }
    }
}
