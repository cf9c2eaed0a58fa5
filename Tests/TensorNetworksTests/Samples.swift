import TensorNetworks
import Tensors

/// Matrices and moments that tests share; everything follows from its seed.
enum Samples {
    static func matrix(
        _ rows: Int, _ columns: Int, seed: UInt64, _ type: ElementType = .float64
    ) throws -> Tensor {
        try Tensor.normal([rows, columns], seed: seed, type)
    }

    /// A covariance `[size, size]` whose eigenvalues fall as 1/i, in a random basis.
    static func moment(_ size: Int, seed: UInt64) throws -> Tensor {
        let (basis, _) = try matrix(size, size, seed: seed).qr()
        let values = try Tensor((1...size).map { 1 / Double($0) })
        return try (basis * values).matmul(basis.transposed())
    }

    /// A matrix of rank `rank`.
    static func matrix(
        _ rows: Int, _ columns: Int, rank: Int, seed: UInt64
    ) throws -> Tensor {
        try matrix(rows, rank, seed: seed).matmul(matrix(rank, columns, seed: seed + 1000))
    }

    /// A network of `format` with random values.
    static func network(
        _ format: Format, _ rows: Int, _ columns: Int, seed: UInt64,
        _ type: ElementType = .float64
    ) throws -> Factorization {
        var next = seed
        let shapes = Dictionary(
            uniqueKeysWithValues: try format.parts(rows: rows, columns: columns)
                .map { ($0.name, $0) })
        return try Factorization(format: format, rows: rows, columns: columns) { name in
            next += 1
            guard let part = shapes[name] else { throw NetworkError.denseFormat }
            if part.isIndex {
                // Distinct rows in no particular order, of the matrix or of the tensor named before.
                let values = shapes[String(name.dropLast(".pivots".count))]
                let limit = values.map { $0.shape[0] + part.count } ?? rows
                return try Tensor(
                    (0..<part.count).map { Int32((part.count - 1 - $0) * limit / part.count) })
            }
            return try Tensor.normal(part.shape, seed: next, type)
        }
    }

    /// Every kind that fits a `[rows, columns]` matrix in half its size or, for tiny ones, at all.
    static func formats(_ rows: Int, _ columns: Int, modeCount: Int = 2) -> [Format] {
        Format.Kind.allCases.filter { $0 != .dense }.compactMap { kind in
            Format.fitting(
                kind, rows: rows, columns: columns, parameters: rows * columns / 2,
                modeCount: modeCount)
                ?? Format.fitting(
                    kind, rows: rows, columns: columns, parameters: 4 * rows * columns + 64,
                    modeCount: modeCount)
        }
    }
}

/// ‖a − b‖ / ‖b‖.
func relativeDistance(_ a: Tensor, _ b: Tensor) throws -> Double {
    let (a, b) = (try a.converted(to: .float64), try b.converted(to: .float64))
    return try (a - b).norm().scalar() / b.norm().scalar()
}
