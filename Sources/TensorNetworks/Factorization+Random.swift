import Tensors

extension Factorization {
    /// A network of `format` with random values, for measuring what contracting it takes.
    ///
    /// Values are normal with variance 1 / (last extent), so that products neither grow nor vanish.
    /// - Parameter format: not `dense`, which is no network.
    package static func random(
        _ format: Format, rows: Int, columns: Int, seed: UInt64, as type: ElementType,
        on device: Device
    ) throws -> Factorization {
        var parts: [String: Tensor] = [:]
        var sizes: [String: Int] = [:]
        for (index, part) in try format.parts(rows: rows, columns: columns).enumerated() {
            if part.isIndex {
                // Evenly spread over the rows of the matrix, or of the tensor that they belong to.
                let stored = sizes[String(part.name.dropLast(".pivots".count))]
                let limit = stored.map { $0 + part.count } ?? rows
                parts[part.name] = try Tensor(
                    (0..<part.count).map { Int32($0 * limit / part.count) }, on: device)
                continue
            }
            sizes[part.name] = part.shape[0]
            let values = try Tensor.noise(part.shape, seed: seed &+ UInt64(index), on: device)
            try values.scale(by: 1 / Double(part.shape.last ?? 1).squareRoot())
            parts[part.name] = try values.converted(to: type)
        }
        return try Factorization(format: format, rows: rows, columns: columns) { name in
            guard let tensor = parts[name] else {
                preconditionFailure("Format.parts does not list \(name)")
            }
            return tensor
        }
    }
}
