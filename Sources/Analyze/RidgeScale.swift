import Tensors

/// A linear correction of ln prices: offset + Σ coefficient · feature, drawn towards none by ridge
/// penalties. The offset is what second-order prices are low by, and with few probes all there is to learn.
struct RidgeScale: Codable, Hashable {
    let offset: Double
    /// One per column of `PredictorInput.scaleColumns`; empty where only the offset is fitted.
    let coefficients: [Double]

    /// Pseudo-observations of "no correction" that the offset is drawn by.
    private static let offsetPenalty = 1.0

    static let none = RidgeScale(offset: 0, coefficients: [])

    private init(offset: Double, coefficients: [Double]) {
        self.offset = offset
        self.coefficients = coefficients
    }

    /// The mean of the targets, shrunk.
    init(offsetOf targets: [Double]) {
        self.init(
            offset: targets.reduce(0, +) / (Double(targets.count) + Self.offsetPenalty),
            coefficients: [])
    }

    /// Minimises Σ (target − offset − xᵀc)² + penalty·‖c‖².
    /// - Parameter inputs: normalised vectors, one per target.
    init(_ inputs: [[Double]], _ targets: [Double], penalty: Double) throws {
        let columns = PredictorInput.scaleColumns
        let mean = RidgeScale(offsetOf: targets).offset
        let width = columns.count
        let x = try Tensor(
            inputs.flatMap { row in columns.map { row[$0] } }, shape: [inputs.count, width])
        let y = try Tensor(targets.map { $0 - mean }, shape: [targets.count, 1])
        let gram = try x.transposed().matmul(x) + Tensor.identity(width, .float64) * penalty
        let solution = try gram.solve(x.transposed().matmul(y))
        self.init(offset: mean, coefficients: try solution.elements(as: Double.self))
    }

    /// - Parameter input: a normalised vector.
    func value(_ input: [Double]) -> Double {
        zip(coefficients, PredictorInput.scaleColumns).reduce(offset) { $0 + $1.0 * input[$1.1] }
    }
}
