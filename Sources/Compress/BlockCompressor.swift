// One block of the model, fitted. Anchored fits go in the order in which its layers act: {query, key, value},
// output, {gate, up}, down. Each group sees what the layers before it, already compressed, hand to it, and is
// fitted to what the dense model does there (DESIGN.md 6), so that it makes good what they lost. A layer
// that writes to the residual stream is also asked for what the stream has lost so far. Other fits need
// only the dense model's moments.
import Artifacts
import Calibration
import Foundation
import Models
import TensorNetworks
import Tensors

struct BlockCompressor {
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    let fit: FitSettings
    /// All that is fitted.
    let units: [FitUnit]
    /// Of the dense model: of the inputs for fits that are not anchored, of the outputs for two-sided
    /// ones. `nil` where the weights alone are fitted.
    let moments: MomentCache?
    /// What trains each block after it is fitted; anchored fits only.
    let refinement: BlockRefinement?
    /// How values are rounded that are stored as one byte.
    let rounding: WeightRounding
    let device: Device

    /// A matrix and how well it was fitted.
    struct Fitted {
        let matrix: CompressedMatrix
        /// One for each of the matrix's patches, as they will be stored.
        let patches: [PatchedMatrix.Patch]
        let record: CompressionReport.Matrix
        /// Its input factor is stored with another matrix.
        let sharesInput: Bool

        var weight: Linear.Weight {
            patches.count == 1
                ? patches[0].weight
                : .patches(
                    PatchedMatrix(rows: matrix.rows, columns: matrix.columns, patches: patches))
        }

        /// The same with other values.
        func replacing(_ patches: [PatchedMatrix.Patch]) -> Fitted {
            Fitted(matrix: matrix, patches: patches, record: record, sharesInput: sharesInput)
        }
    }

    /// A block, done.
    struct Compressed {
        let matrices: [Fitted]
        /// Norms and biases that refinement changed.
        var others: [NamedTensor] = []
    }

    /// Fits the units of block `layer` on what the compressed model hands on.
    /// - Parameters:
    ///   - streams: hidden states of the dense and of the compressed model.
    ///   - step: called after every window of each pass, and after every matrix.
    func compress(
        _ layer: Int, anchor: Double, _ streams: BlockStreams, step: (String) throws -> Void
    ) throws -> Compressed {
        var all: [Fitted] = []
        // Of what is quantised after it is refined.
        var kept: [Projection.Input: SecondMoment] = [:]
        var pass = BlockPass(
            try DecoderBlock(
                layer, of: configuration, from: WeightLoader(checkpoint, as: .float32, on: device)),
            streams, configuration, anchor: anchor, device: device)
        for input in Projection.Input.allCases {
            let units = units.filter { $0.layer == layer && $0.projection.input == input }
            let wanted = units.flatMap(\.members).map(\.projection)
            var observed = try pass.observe(input, wanted) { try step("block \(layer)") }
            TorchRuntime.releaseUnusedMemory()
            // Layers that read the same activation share its moment.
            let moment = try observed?.takeMoment(named: input, shrinkage: fit.shrinkage)
            if refinement != nil { kept[input] = moment }
            for unit in units {
                let fitted = try fit(unit, moment) { observed?.takeWanted($0) }
                for (member, matrix) in zip(unit.members, fitted) {
                    try pass.replace(member.projection, by: matrix.weight)
                }
                all += fitted
            }
            for projection in input.projections { try step(projection.rawValue) }
        }
        var compressed = Compressed(matrices: all)
        if let refinement {
            if all.isEmpty {
                for _ in 0..<refinement.steps(windows: streams.dense.windows) {
                    try step("block \(layer)")
                }
            } else {
                let refined = try refinement.run(layer, all, streams) {
                    try step("refine block \(layer)")
                }
                pass.replace(by: refined.block)
                let stored = try refined.fitted.map { matrix in
                    try quantized(matrix, layer) { kept[$0.input] }
                }
                for matrix in stored where matrix.isQuantized {
                    try pass.replace(projection(of: matrix, layer), by: matrix.weight)
                }
                compressed = Compressed(matrices: stored, others: refined.others)
            }
        }
        try pass.finish { try step("block \(layer)") }
        return compressed
    }

    /// Fits the units of block `layer` on the dense model's inputs, or the weights alone.
    /// - Parameter step: called after every matrix of the block.
    func compress(_ layer: Int, step: (String) throws -> Void) throws -> Compressed {
        var all: [Fitted] = []
        var known: (places: [FitUnit.InputPlace], moment: SecondMoment?)?
        for projection in Projection.allCases {
            for unit in units where unit.layer == layer && unit.projection == projection {
                if known?.places != unit.inputs {
                    known = nil
                    known = (unit.inputs, try denseMoment(unit.inputs))
                }
                all += try fit(unit, known?.moment) { _ in nil }
            }
            try step(projection.rawValue)
        }
        return Compressed(matrices: all)
    }

    // MARK: Moments

    /// Of what the dense model's layers read, in the metric of the fit; the mean of several.
    private func denseMoment(_ places: [FitUnit.InputPlace]) throws -> SecondMoment? {
        guard fit.metric != .weights, let moments else { return nil }
        var sum: Tensor?
        for place in places {
            let moment = try moments.moment(of: place.input, layer: place.layer).moved(to: device)
            sum = try sum.map { try $0 + moment } ?? moment
        }
        var mean = try sum.map { places.count == 1 ? $0 : try $0 / Double(places.count) }
        if fit.metric == .diagonal {
            mean = try mean?.diagonal().converted(to: .float64).clamped(0...Double.infinity)
                .squareRoot().diagonalMatrix()
        }
        let names = places.map { "\($0.input.rawValue) moment of block \($0.layer)" }
        return try mean.map {
            try SecondMoment(
                $0, size: $0.shape[0], shrinkage: fit.shrinkage,
                name: "the " + names.joined(separator: " and the "))
        }
    }

    private func outputMoment(_ member: FitUnit.Member) throws -> SecondMoment? {
        guard fit.isTwoSided, let moments else { return nil }
        return try SecondMoment(
            moments.moment(of: member.projection, layer: member.layer).moved(to: device),
            size: member.module.rows, shrinkage: fit.outputShrinkage,
            name: "the output moment of \(member.module.name)")
    }

    // MARK: Fits

    /// - Parameters:
    ///   - moment: of the unit's inputs; `nil` is the identity.
    ///   - wanted: E[y·x̂ᵀ] where the outputs y are not W·x̂.
    private func fit(
        _ unit: FitUnit, _ moment: SecondMoment?, wanted: (Projection) -> Tensor?
    ) throws -> [Fitted] {
        var moment = moment
        if moment == nil, unit.members.count > 1 {
            let columns = unit.members[0].module.columns
            moment = try SecondMoment(
                .identity(columns, .float64, on: device), size: columns, shrinkage: 0,
                name: "the identity")
        }
        let objectives = try unit.members.map { member in
            try FitObjective(
                weight: WeightLoader(checkpoint, as: .float64, on: device)
                    .tensor(member.module.weight.name),
                moment: moment, wanted: wanted(member.projection), output: outputMoment(member))
        }
        let found = try weights(unit, objectives)
        let fitted = try zip(unit.members, found).map { member, found in
            let patches = zip(member.plan.patches, found.stored).map {
                PatchedMatrix.Patch($0.region, $1)
            }
            return Fitted(
                matrix: try CompressedMatrix(member.plan), patches: patches,
                record: CompressionReport.Matrix(
                    name: member.module.name, rows: member.module.rows,
                    columns: member.module.columns, formats: member.plan.patches.map(\.format),
                    parameters: try member.plan.patches.reduce(0) { try $0 + $1.parameterCount() },
                    relativeError: found.relativeError),
                sharesInput: member.patch.sharesInputOf != nil)
        }
        // The allocator would keep the temporaries of this unit beside those of the next.
        TorchRuntime.releaseUnusedMemory()
        return fitted
    }

    /// The patches of a matrix, and the error of the whole.
    private typealias Found = (stored: [Linear.Weight], relativeError: Double)

    private func weights(_ unit: FitUnit, _ objectives: [FitObjective]) throws -> [Found] {
        let leader = unit.members[0]
        if case .lowRank(let rank) = leader.patch.format, unit.members.count > 1 {
            let shared = try SharedInputFit(objectives, rank: rank)
            let errors = try zip(objectives, shared.pairs).map { objective, pair in
                try objective.relativeError(of: Factorization.lowRank(pair).reconstructed())
            }
            let type = leader.patch.elementType
            guard type.isQuantized else {
                let stored = try shared.stored(as: type)
                return zip(stored, errors).map { ([.network(.lowRank($0))], $1) }
            }
            let stored = try shared.quantized(as: type, rounding)
            return try zip(stored, objectives).map { network, objective in
                let error = try objective.relativeError(of: network.reconstructed(as: .float64))
                return ([.quantized(network)], error)
            }
        }
        guard leader.plan.patches.count == 1, leader.patch.format != .dense else {
            return [try patches(leader, objectives[0])]
        }
        let (weight, error) = try network(objectives[0], leader.patch)
        return [([weight], error)]
    }

    private func network(
        _ objective: FitObjective, _ patch: PatchPlan
    ) throws -> (stored: Linear.Weight, relativeError: Double) {
        let network: Factorization
        let error: Double
        if fit.readsText {
            (network, error) = try Factorization.fit(objective, format: patch.format)
        } else {
            // There is nothing to weight by: the plain decomposition is the answer.
            network = try Factorization.decomposing(objective.target, format: patch.format)
            error = try objective.relativeError(of: network.reconstructed())
        }
        guard isQuantizedNow(patch.elementType) else {
            let type = patch.elementType.beforeQuantization
            return (.network(try network.stored(as: type, for: objective)), error)
        }
        let quantized = try network.quantized(as: patch.elementType, for: objective, rounding)
        return (
            .quantized(quantized),
            try objective.relativeError(of: quantized.reconstructed(as: .float64))
        )
    }

    private func dense(_ objective: FitObjective, _ type: ElementType) throws -> Linear.Weight {
        guard isQuantizedNow(type) else {
            return .dense(
                try objective.target.converted(to: type.beforeQuantization).contiguous())
        }
        return .quantized(
            try QuantizedNetwork(quantizing: objective.target, as: type, for: objective, rounding))
    }

    /// Patch by patch; each makes good what those before it lost. Dense patches, which lose nothing but
    /// what a better target would gain, are the target itself.
    private func patches(_ member: FitUnit.Member, _ objective: FitObjective) throws -> Found {
        let error = try Tensor.zeros([objective.rows, objective.columns], .float64, on: device)
        var weights: [Linear.Weight] = []
        for patch in member.plan.patches {
            let (rows, columns) = (patch.region.rows, patch.region.columns)
            let part = try objective.patch(
                rows: rows, columns: columns, given: weights.isEmpty ? nil : error)
            let weight =
                patch.format == .dense
                ? try dense(part, patch.elementType) : try network(part, patch).stored
            let values = try weight.dense().converted(to: .float64)
            try error.narrowed(0, rows).narrowed(1, columns).assign(
                objective.target.narrowed(0, rows).narrowed(1, columns) - values)
            weights.append(weight)
        }
        return (weights, try objective.relativeError(of: objective.target - error))
    }
}

extension BlockPass.Observation {
    fileprivate mutating func takeMoment(
        named input: Projection.Input, shrinkage: Double
    ) throws -> SecondMoment {
        let moment = takeMoment()
        return try SecondMoment(
            moment, size: moment.shape[0], shrinkage: shrinkage,
            name: "the \(input.rawValue) moment")
    }
}
