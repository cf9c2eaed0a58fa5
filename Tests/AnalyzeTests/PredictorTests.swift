import Artifacts
import Foundation
import Models
import TensorNetworks
import Tensors
import Testing

@testable import Analyze

@Suite("SensitivityPredictor")
struct PredictorTests {
    @Test("without probes and weights it is the identity")
    func identity() throws {
        let model = try SyntheticModel(layers: 4, seed: 3)
        let predictor = try CalibratedPredictor([], features: model.features)
        let map = try model.map.calibrated(by: predictor, [])
        #expect(map == model.map)
        #expect(predictor.method == "second-order")
    }

    @Test("with few probes it learns the factor that prices are low by")
    func fewProbes() throws {
        let model = try SyntheticModel(layers: 4, seed: 3)
        let probes = try model.measurements(6)
        let predictor = try CalibratedPredictor(probes, features: model.features)
        #expect(predictor.method == "second-order + offset")
        #expect(predictor.validation == nil)
        let map = try model.map.calibrated(by: predictor, probes)
        #expect(try model.logError(map) < 0.6 * model.logError(model.map))
    }

    @Test("it recovers a law of projection, depth and size from 40 probes")
    func law() throws {
        let model = try SyntheticModel(layers: 6, seed: 4)
        let probes = try model.measurements(40)
        let predictor = try CalibratedPredictor(probes, features: model.features)
        let map = try model.map.calibrated(
            by: predictor, probes, settings: predictor.settings)
        try map.validate()
        #expect(try model.logError(map) < 0.1)
        #expect(try model.logError(model.map) > 0.8)
        let validation = try #require(predictor.validation)
        #expect(try #require(validation.spearman) > 0.99)
        #expect(validation.logError < 0.15)
        // Measurements stand beside the predictions.
        let measured = map.matrices.flatMap(\.candidates).compactMap(\.measuredKL)
        #expect(measured.count == 40)
        #expect(map.settings["probes"] == .integer(40))
        #expect(map.settings["method"] == .string("second-order"))
        #expect(Set(map.matrices.map(\.score)).count == map.matrices.count)
    }

    @Test("same probes and seed, same map; more parameters never cost more within a family")
    func monotone() throws {
        let model = try SyntheticModel(layers: 3, seed: 5)
        // Measurements that rise with the rank: whatever is learnt, no family may.
        let probes = try model.measurements(16).enumerated().map { index, found in
            ProbeMeasurement(
                key: found.key, divergence: found.divergence * (index % 3 == 0 ? 9 : 0.2),
                outputError: 0, price: found.price, parameters: found.parameters, tokens: 1,
                date: "", program: "")
        }
        let first = try model.map.calibrated(
            by: CalibratedPredictor(probes, features: model.features), probes)
        let second = try model.map.calibrated(
            by: CalibratedPredictor(probes, features: model.features), probes)
        #expect(first == second)
        for matrix in first.matrices {
            for family in Dictionary(grouping: matrix.candidates, by: \.format.kind).values {
                let order = family.sorted { $0.parameters < $1.parameters }.map(\.predictedKL)
                #expect(zip(order, order.dropFirst()).allSatisfy { $0 >= $1 })
            }
        }
    }

    @Test("weights learnt on one model predict another, also from a file")
    func transfer() throws {
        let (taught, new) = (
            try SyntheticModel(layers: 3, seed: 6), try SyntheticModel(layers: 5, seed: 7)
        )
        let all = try ProbeSample.complete(taught.map, shares: [0.3, 0.5, 0.65, 0.8])
            .map(taught.measurement)
        let (predictor, error) = try PredictorTraining(
            [MeasuredModel(all, features: taught.features)]
        ).run()
        #expect(error < 0.2)
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/predictor.safetensors"
        try predictor.write(path)
        let read = try SensitivityPredictor(reading: path)
        let calibrated = try CalibratedPredictor([], features: new.features, prior: read)
        let map = try new.map.calibrated(by: calibrated, [])
        #expect(try new.logError(map) < 0.3 * new.logError(new.map))
        let direct = try CalibratedPredictor([], features: new.features, prior: predictor)
        #expect(try new.map.calibrated(by: direct, []) == map)
    }

    @Test("files that hold something else are refused")
    func files() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/weights.safetensors"
        let model = try SyntheticModel(layers: 3, seed: 8)
        let predictor = try SensitivityPredictor(
            .init(scale: .ridge(penalty: 1), networkShare: 0.5),
            from: [MeasuredModel(model.measurements(20), features: model.features)])
        try predictor.write(path)
        let header = try #require(
            try SafetensorsFile(path).metadata["minima.predictor"])
        let query = try #require(
            PredictorQuery(model.map.matrices[0].candidates[0], of: model.map.matrices[0]))
        let read = try SensitivityPredictor(reading: path)
        #expect(
            try read.predict([query], in: model.features)
                == predictor.predict([query], in: model.features))
        func write(_ header: String?, dropping: Int = 0) throws {
            let tensors = Array(
                zip(DepthNetwork.names, predictor.network?.parameters ?? []).dropLast(dropping))
            let writer = try SafetensorsWriter(
                path, declaring: tensors.map { TensorInfo(name: $0.0, of: $0.1) },
                metadata: header.map { ["minima.predictor": $0] } ?? [:])
            for (name, tensor) in tensors { try writer.write(tensor, named: name) }
            try writer.finish()
        }
        let broken = [
            nil, "{}", header.replacingOccurrences(of: "\"version\":1", with: "\"version\":2"),
            header.replacingOccurrences(of: "log_price", with: "luck"),
            header.replacingOccurrences(of: "\"network_share\":0.5", with: "\"network_share\":7"),
            header.replacingOccurrences(of: "\"version\":1", with: "\"version\":1,\"more\":1"),
        ]
        for text in broken {
            try write(text)
            #expect(throws: (any Error).self, "\(text ?? "no header")") {
                try SensitivityPredictor(reading: path)
            }
        }
        try write(header, dropping: 1)
        #expect(throws: PredictorError.self) { try SensitivityPredictor(reading: path) }
    }

    @Test("the convolution sees the blocks around a matrix")
    func network() throws {
        let (count, width) = (160, PredictorInput.names.count)
        let x = try Tensor.normal([count, 5, width], seed: 3, .float64)
        // A product of features of two neighbouring blocks: no linear function of any.
        let left = try x.narrowed(1, 1..<2).narrowed(2, 0..<1).reshaped([count])
        let right = try x.narrowed(1, 3..<4).narrowed(2, 1..<2).reshaped([count])
        let targets = try (left * right).elements(as: Double.self)
        let network = try DepthNetwork(x, targets)
        let again = try DepthNetwork(x, targets)
        let predicted = try network(x).elements(as: Double.self)
        let variance = targets.reduce(0) { $0 + $1 * $1 }
        let rest = zip(targets, predicted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        #expect(rest < 0.3 * variance)
        #expect(try again(x).elements(as: Double.self) == predicted)
    }

    @Test("residuals are carried to neighbours and fade with distance")
    func field() throws {
        func query(_ layer: Int, _ share: Double) -> PredictorQuery {
            PredictorQuery(
                MatrixPlace(layer: layer, projection: .up), share: share, price: 1,
                kind: .pivotedLowRank)
        }
        let queries = (0..<8).flatMap { [query($0, 0.4), query($0, 0.7)] }
        let residuals = queries.map { $0.place.layer < 4 ? 0.5 : -0.5 }
        let field = try ResidualField(queries, residuals)
        #expect(abs(field.value(query(1, 0.5)) - 0.5) < 0.1)
        #expect(abs(field.value(query(6, 0.5)) + 0.5) < 0.1)
        let far = PredictorQuery(
            MatrixPlace(layer: 90, projection: .key), share: 0.5, price: 1, kind: .lowRank)
        #expect(abs(field.value(far)) < 1e-6)
    }

    @Test("rank correlation")
    func spearman() throws {
        #expect(RankCorrelation.spearman([1, 2, 3], [10, 20, 90]) == 1)
        #expect(RankCorrelation.spearman([1, 2, 3], [9, 8, 1]) == -1)
        // Ties share their mean rank: ranks 0.5, 0.5, 2 against 0, 1, 2.
        let tied = try #require(RankCorrelation.spearman([5, 5, 6], [1, 2, 3]))
        #expect(abs(tied - 1.5 / (1.5 * 2).squareRoot()) < 1e-12)
        #expect(RankCorrelation.spearman([1, 1], [1, 2]) == nil)
    }

    @Test("pooling adjacent violators")
    func isotonic() {
        let found = IsotonicRegression.falling([8, 2, 8, 1, 0, 3])
        #expect(found[0] == 8 || abs(found[0] - 8) < 1e-12)
        #expect(abs(found[1] - 4) < 1e-12 && abs(found[2] - 4) < 1e-12)
        #expect(abs(found[3] - 1) < 1e-12 && found[4] == 0 && found[5] == 0)
        #expect(IsotonicRegression.falling([]).isEmpty)
    }
}
