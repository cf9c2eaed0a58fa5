import Tensors

/// A part of a network with random values, for measuring what contracting the network takes.
///
/// Variances are such that the entries of W have one of about 1 / columns, and products neither grow nor
/// vanish: 1 / rank on the output's side of a bond, 1 / (columns that it covers) on the input's.
package struct RandomPart: Sendable {
    package let part: Format.Part
    /// Of the values.
    private let variance: Double
    /// Row numbers are those of a matrix with so many rows.
    private let rows: Int

    fileprivate init(_ part: Format.Part, columns: Int, rows: Int) {
        self.part = part
        self.rows = rows
        let name = part.name.split(separator: ".").last ?? ""
        if name == "core" {
            // Of a Tucker network, whose factors leave its variance as it is.
            variance = 1 / Double(columns)
        } else if part.shape.count == 4 {
            // A core [left, output, input, right] of a chain.
            variance = 1 / Double(part.shape[2] * part.shape[3])
        } else {
            variance = 1 / Double(part.shape.last ?? 1)
        }
    }

    /// The same values every time on the same kind of device; row numbers are evenly spread.
    /// - Parameter type: of values, where one byte is to be read as a multiple of `scales`; row numbers are int32.
    package func values(seed: UInt64, as type: ElementType, on device: Device) throws -> Tensor {
        if part.isIndex {
            return try Tensor((0..<part.count).map { Int32($0 * rows / part.count) }, on: device)
        }
        let values = try Tensor.noise(part.shape, seed: seed, on: device)
        guard type.isQuantized else {
            try values.scale(by: variance.squareRoot())
            return try values.converted(to: type)
        }
        let most = type.largestElement
        try values.scale(by: most / Self.largestNoise)
        return try values.clamped(-most...most).converted(to: type)
    }

    /// Of all rows of values of one byte; a tensor of quantised elements has the variance of others.
    package func scales(as type: ElementType, on device: Device) throws -> Tensor {
        let scale = variance.squareRoot() * Self.largestNoise / type.largestElement
        return try Tensor.full([part.rows], scale, .float32, on: device)
    }

    /// In standard deviations.
    private static let largestNoise = 4.0
}

extension Format {
    /// The tensors of a `[rows, columns]` matrix in this format, in storage order, as they are drawn.
    package func randomParts(rows: Int, columns: Int) throws(FormatError) -> [RandomPart] {
        var stored: [String: Int] = [:]
        return try parts(rows: rows, columns: columns).map { part in
            // Row numbers belong to the tensor that they are named after, without the rows that the identity
            // takes, or to the whole matrix.
            let own = part.isIndex ? stored[String(part.name.dropLast(".pivots".count))] : nil
            if !part.isIndex { stored[part.name] = part.shape[0] }
            return RandomPart(part, columns: columns, rows: own.map { $0 + part.count } ?? rows)
        }
    }
}

extension Factorization {
    /// A network of `format` with random values.
    /// - Parameter format: not `dense`, which is no network.
    package static func random(
        _ format: Format, rows: Int, columns: Int, seed: UInt64, as type: ElementType,
        on device: Device
    ) throws -> Factorization {
        var parts: [String: Tensor] = [:]
        for (index, drawn) in try format.randomParts(rows: rows, columns: columns).enumerated() {
            parts[drawn.part.name] = try drawn.values(
                seed: seed &+ UInt64(index), as: type, on: device)
        }
        return try Factorization(format: format, rows: rows, columns: columns) { name in
            guard let tensor = parts[name] else {
                preconditionFailure("Format.parts does not list \(name)")
            }
            return tensor
        }
    }
}
