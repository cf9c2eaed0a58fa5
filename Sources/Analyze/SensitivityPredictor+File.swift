// A predictor on disk: one safetensors file, whose metadata say what its numbers mean.
import Artifacts
import Tensors

extension SensitivityPredictor {
    private static let key = "minima.predictor"

    /// What stands in the metadata.
    private struct Header: Codable {
        let version: Int
        let features: [String]
        let normalisation: Normalisation
        let scale: RidgeScale
        let networkShare: Double

        private enum CodingKeys: String, CodingKey {
            case version, features, normalisation, scale
            case networkShare = "network_share"
        }
    }

    package func write(_ path: String) throws {
        let header = Header(
            version: Self.version, features: PredictorInput.names, normalisation: normalisation,
            scale: scale, networkShare: networkShare)
        let tensors = network?.parameters ?? []
        let named = zip(DepthNetwork.names, tensors)
        let writer = try SafetensorsWriter(
            path, declaring: named.map { TensorInfo(name: $0, of: $1) },
            metadata: [Self.key: try MeasurementStore.json(header)])
        for (name, tensor) in named { try writer.write(tensor, named: name) }
        try writer.finish()
    }

    /// Reads and checks a file: version, features, sizes, and that all numbers are finite.
    package init(reading path: String) throws {
        func fault(_ reason: String) -> PredictorError { .weights(file: path, reason: reason) }
        let file = try SafetensorsFile(path)
        guard let text = file.metadata[Self.key] else { throw fault("it has no \(Self.key)") }
        let header = try StrictJSON.decode(Header.self, from: Array(text.utf8), of: path) {
            (document) throws(CheckpointError) in
            guard case .object(let members) = document, members["version"] == .integer(Self.version)
            else {
                throw .manifest(
                    file: path, reason: "no predictor of version \(Self.version)")
            }
        }
        let width = PredictorInput.names.count
        guard header.features == PredictorInput.names,
            header.normalisation.means.count == width, header.normalisation.scales.count == width
        else { throw fault("its features are not this version's") }
        guard [0, PredictorInput.scaleColumns.count].contains(header.scale.coefficients.count)
        else { throw fault("its scale has \(header.scale.coefficients.count) coefficients") }
        guard (0...1).contains(header.networkShare) else {
            throw fault("its network counts \(header.networkShare)")
        }
        let names = header.networkShare > 0 ? DepthNetwork.names : []
        guard file.tensors.map(\.name).sorted() == names.sorted() else {
            throw fault("its tensors are \(file.tensors.map(\.name))")
        }
        var parameters: [Tensor] = []
        for (name, shape) in zip(names, DepthNetwork.shapes) {
            guard let info = file.info(name), info.shape == shape, info.elementType == .float64
            else { throw fault("'\(name)' is not \(shape) in float64") }
            let tensor = try file.tensor(named: name).copied()
            guard try tensor.finite().all().scalar() == 1 else {
                throw fault("'\(name)' is not finite")
            }
            parameters.append(tensor)
        }
        self.init(
            normalisation: header.normalisation, scale: header.scale,
            network: parameters.isEmpty ? nil : DepthNetwork(parameters: parameters),
            networkShare: header.networkShare)
    }
}
