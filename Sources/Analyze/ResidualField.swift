// What a model's own probes say beyond every formula: their residuals, carried over to candidates nearby.
//
// Kriging (a Gaussian process with a fixed kernel): the residual of a candidate is correlated with those
// of the same matrix at other sizes, of the same projection in blocks nearby, and of the same block.
// Rasmussen & Williams: Gaussian Processes for Machine Learning (2006), chapter 2; leave-one-out 5.4.2.
import Foundation
import Tensors

struct ResidualField {
    /// Variances, of which only the ratios matter, and lengths of correlation.
    struct Kernel: Hashable {
        /// Of the same matrix; the others are in units of it.
        var matrix = 1.0
        var projection: Double
        var block: Double
        var noise: Double
        /// In shares of the parameters that are kept.
        var shareLength: Double
        /// In blocks.
        var depthLength = 2.0

        func covariance(_ a: PredictorQuery, _ b: PredictorQuery) -> Double {
            let share = (a.share - b.share) / shareLength
            let depth = Double(a.place.layer - b.place.layer) / depthLength
            var sum = 0.0
            if a.place == b.place { sum += matrix }
            if a.place.projection == b.place.projection {
                sum += projection * exp(-0.5 * depth * depth)
            }
            if a.place.layer == b.place.layer { sum += block }
            return sum * exp(-0.5 * share * share)
        }

        static let candidates: [Kernel] = [0.0, 0.5, 2].flatMap { projection in
            [0.0, 0.5].flatMap { block in
                [0.05, 0.3, 1].flatMap { noise in
                    [0.3, 1].map { length in
                        Kernel(
                            projection: projection, block: block, noise: noise, shareLength: length)
                    }
                }
            }
        }
    }

    private let kernel: Kernel
    private let queries: [PredictorQuery]
    /// K⁻¹·residuals.
    private let weights: [Double]

    /// Most residuals that kernels are compared on, each comparison costing their number cubed.
    private static let mostCompared = 96

    /// The kernel whose leave-one-out error is least.
    init(_ queries: [PredictorQuery], _ residuals: [Double]) throws {
        let some = min(queries.count, Self.mostCompared)
        let (head, tail) = (Array(queries.prefix(some)), Array(residuals.prefix(some)))
        var best: (kernel: Kernel, error: Double)?
        for kernel in Kernel.candidates {
            let error = try Self.leaveOneOut(kernel, head, tail)
            if best.map({ error < $0.error }) ?? true { best = (kernel, error) }
        }
        guard let best else { preconditionFailure("there are kernels to choose from") }
        kernel = best.kernel
        self.queries = queries
        let inverse = try Self.inverse(kernel, queries)
        weights = try inverse.matmul(Tensor(residuals, shape: [residuals.count, 1]))
            .elements(as: Double.self)
    }

    /// The expected residual of a query.
    func value(_ query: PredictorQuery) -> Double {
        zip(queries, weights).reduce(0) { $0 + kernel.covariance(query, $1.0) * $1.1 }
    }

    private static func inverse(_ kernel: Kernel, _ queries: [PredictorQuery]) throws -> Tensor {
        let count = queries.count
        var matrix = [Double](repeating: 0, count: count * count)
        for row in 0..<count {
            for column in 0...row {
                let value = kernel.covariance(queries[row], queries[column])
                matrix[row * count + column] = value
                matrix[column * count + row] = value
            }
            matrix[row * count + row] += kernel.noise
        }
        return try Tensor(matrix, shape: [count, count])
            .solve(Tensor.identity(count, .float64))
    }

    /// Mean squared error of each residual predicted from the others: [K⁻¹r]ᵢ / [K⁻¹]ᵢᵢ.
    private static func leaveOneOut(
        _ kernel: Kernel, _ queries: [PredictorQuery], _ residuals: [Double]
    ) throws -> Double {
        let inverse = try inverse(kernel, queries)
        let weights = try inverse.matmul(Tensor(residuals, shape: [residuals.count, 1]))
            .elements(as: Double.self)
        let diagonal = try inverse.diagonal().elements(as: Double.self)
        return zip(weights, diagonal).reduce(0) { $0 + ($1.0 / $1.1) * ($1.0 / $1.1) }
            / Double(max(1, residuals.count))
    }
}
