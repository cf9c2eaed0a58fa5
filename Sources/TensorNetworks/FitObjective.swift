import Tensors

/// What a fit minimises: E‖L_Gᵀ(y − Ŵ·x̂)‖² with G = L_G·L_Gᵀ = E[ggᵀ], where x̂ is the input that the
/// compressed layer will see and y what is wanted of it there (DESIGN.md 6).
///
/// With  = E[x̂x̂ᵀ] and P = E[y·x̂ᵀ] this is tr(G Ŵ Â Ŵᵀ) − 2 tr(G P Ŵᵀ) + const, and completing the square,
/// ‖L_Gᵀ(Ŵ − T)L‖² + const with T = P·Â⁻¹. So every fit approximates one target matrix T in one weighted
/// norm, and no fit needs to know which case it is in. Where y = W·x̂ the target is W.
package struct FitObjective {
    /// T `[rows, columns]`, float64.
    package let target: Tensor
    /// Â.
    package let input: SecondMoment
    /// G; `nil` is the identity.
    package let output: SecondMoment?
    /// tr(G T Â Tᵀ) with the moments as scaled by `SecondMoment`.
    package let energy: Double

    /// Of moments that no other objective shares.
    /// - Parameters:
    ///   - weight: W `[rows, columns]`.
    ///   - input: Â `[columns, columns]`; `nil` is the identity.
    ///   - wanted: P `[rows, columns]`, which is used up; `nil` where y = W·x̂.
    ///   - output: G `[rows, rows]`; `nil` is the identity.
    ///   - shrinkage: share of mean(diag Â)·I mixed into Â, where it draws Ŵ towards W.
    ///   - outputShrinkage: the same for G.
    package init(
        weight: Tensor, input: Tensor? = nil, wanted: Tensor? = nil, output: Tensor? = nil,
        shrinkage: Double = 0.01, outputShrinkage: Double = 0.01
    ) throws {
        let shape = weight.shape
        guard shape.count == 2, shape[0] > 0, shape[1] > 0 else {
            throw NetworkError.format(
                .size(rows: shape.first ?? 0, columns: shape.count == 2 ? shape[1] : 0))
        }
        let identity = try Tensor.identity(shape[1], .float64, on: weight.device)
        try self.init(
            weight: weight,
            moment: SecondMoment(
                input ?? identity, size: shape[1], shrinkage: shrinkage, name: "the input moment"),
            wanted: wanted,
            output: output.map {
                try SecondMoment(
                    $0, size: shape[0], shrinkage: outputShrinkage, name: "the output moment")
            })
    }

    /// E‖L_Gᵀ(y − Ŵ·x̂)‖² for outputs y that are wanted of the layer, whatever they come from: W·x of the
    /// dense model, and for a layer that writes to the residual stream what that has lost before it.
    /// The moments' factors are shared by the objectives that they are handed to.
    /// - Parameters:
    ///   - weight: W `[rows, columns]`, which shrinkage draws Ŵ towards.
    ///   - moment: Â `[columns, columns]`; `nil` is the identity.
    ///   - wanted: E[y·x̂ᵀ] `[rows, columns]`, which is used up: its memory becomes the target's.
    ///     `nil` where y = W·x̂.
    ///   - output: G `[rows, rows]`; `nil` is the identity.
    package init(
        weight: Tensor, moment: SecondMoment?, wanted: Tensor? = nil, output: SecondMoment? = nil
    ) throws {
        let w = try weight.detached().converted(to: .float64)
        precondition(w.shape.count == 2, "a weight is a matrix, not \(w.shape)")
        try w.requireFinite("the weight")
        let (rows, columns) = (w.shape[0], w.shape[1])
        let moment =
            try moment
            ?? SecondMoment(
                Tensor.identity(columns, .float64, on: w.device), size: columns, shrinkage: 0,
                name: "the identity")
        for (matrix, size, name) in [
            (moment.matrix, columns, "the input moment"),
            (output?.matrix ?? w, output == nil ? -1 : rows, "the output moment"),
        ] where size >= 0 && matrix.shape != [size, size] {
            throw NetworkError.shape(part: name, expected: [size, size], found: matrix.shape)
        }
        target = try wanted.map { try Self.target(w, moment, $0) } ?? w
        input = moment
        self.output = output
        energy = try WeightedMetric(input: moment.matrix, output: output?.matrix)
            .squaredNorm(target)
    }

    /// T = P·Â⁻¹ with P = E[y·x̂ᵀ], scaled and shrunk as Â was: the shrinkage's part of P is W's, so
    /// that directions of which the text says nothing keep W.
    private static func target(
        _ w: Tensor, _ moment: SecondMoment, _ wanted: Tensor
    ) throws -> Tensor {
        guard wanted.shape == w.shape else {
            throw NetworkError.shape(
                part: "the wanted outputs' moment", expected: w.shape, found: wanted.shape)
        }
        // In place and a strip of rows at a time: beside the moment of the widest layer and its factor
        // there is little room.
        let target = try wanted.converted(to: .float64)
        try target.scale(by: (1 - moment.shrinkage) / moment.scale)
        try target.requireFinite("the wanted outputs' moment")
        try target.accumulate(w, times: moment.shrinkage)
        // Where the fit works on the side of the outputs the factor is of no more use, and as large as
        // the moment.
        let (rows, isKept) = (w.shape[0], w.shape[0] > w.shape[1])
        let factor = try isKept ? moment.factor() : WhiteningFactor(of: moment.matrix)
        for start in stride(from: 0, to: rows, by: Self.stripRows) {
            let strip = try target.narrowed(0, start..<min(start + Self.stripRows, rows))
            try strip.assign(factor.solving(factor.solvingTransposed(strip)))
        }
        return target
    }

    private static let stripRows = 512

    init(target: Tensor, input: SecondMoment, output: SecondMoment?) throws {
        (self.target, self.input, self.output) = (target, input, output)
        energy = try WeightedMetric(input: input.matrix, output: output?.matrix)
            .squaredNorm(target)
    }

    private init(target: Tensor, like other: FitObjective) {
        self.target = target
        (input, output, energy) = (other.input, other.output, other.energy)
    }

    package var rows: Int { target.shape[0] }
    package var columns: Int { target.shape[1] }

    /// The same norm about another target, as for the residual of a sum.
    func aiming(at target: Tensor) -> FitObjective { FitObjective(target: target, like: self) }

    var metric: WeightedMetric { WeightedMetric(input: input.matrix, output: output?.matrix) }

    /// ‖L_Gᵀ(Ŵ − T)L‖² / ‖L_Gᵀ·T·L‖²; 0 for a zero matrix that is represented exactly.
    /// - Parameter estimate: Ŵ `[rows, columns]`.
    package func relativeError(of estimate: Tensor) throws -> Double {
        let error = try estimate.detached().converted(to: .float64) - target
        let squared = try metric.squaredNorm(error)
        guard energy > 0 else { return squared > 0 ? .infinity : 0 }
        return squared / energy
    }
}

/// The norm ‖L_Gᵀ·E·L‖² = tr(G E Â Eᵀ), without factors.
struct WeightedMetric {
    /// Â.
    let input: Tensor
    /// G; `nil` is the identity.
    let output: Tensor?

    /// G·E·Â, half the gradient of the norm.
    func weighted(_ error: Tensor) throws -> Tensor {
        let right = try error.matmul(input)
        return try output.map { try $0.matmul(right) } ?? right
    }

    func squaredNorm(_ error: Tensor) throws -> Double {
        max(0, try (weighted(error) * error).sum().scalar())
    }

    func converted(to type: ElementType) throws -> WeightedMetric {
        WeightedMetric(
            input: try input.converted(to: type), output: try output?.converted(to: type))
    }
}
