import Tensors

/// A matrix W `[rows, columns]` in some format, dense among them, whose values take one byte each: every part
/// is a matrix with a scale for each of its rows (`Format.Part.rowDimensions` says which those are).
package struct QuantizedNetwork {
    package let format: Format
    package let rows: Int
    package let columns: Int
    /// int8 or float8e4m3.
    package let elementType: ElementType
    /// The stored tensors, in the order of `format.parts(rows:columns:storing:)`.
    package let parts: [NamedTensor]
    private let layout: [Format.Part]
    private var matrices: [String: QuantizedMatrix] = [:]
    private var rowNumbers: [String: Tensor] = [:]

    /// Assembles it from its stored tensors.
    /// - Parameters:
    ///   - format: may come from a file; it is checked against `rows`, `columns` and the tensors.
    ///   - stored: the tensor of a name in `format.parts(rows:columns:storing:)`.
    package init(
        format: Format, rows: Int, columns: Int, as type: ElementType,
        stored: (String) throws -> Tensor
    ) throws {
        try self.init(format, rows, columns, type) { part in
            let elements = try stored(part.name)
            guard elements.shape == part.shape else {
                throw NetworkError.shape(
                    part: part.name, expected: part.shape, found: elements.shape)
            }
            guard elements.elementType == type else {
                throw NetworkError.elementType(
                    part: part.name, expected: type.rawValue, found: elements.elementType)
            }
            return try QuantizedMatrix(
                elements: elements.reshaped([part.rows, part.columns]),
                scales: stored(Format.scales(of: part.name)), name: part.name)
        } rowNumbers: {
            try stored($0)
        }
    }

    /// - Parameter matrix: of each part that holds values.
    init(
        _ format: Format, _ rows: Int, _ columns: Int, _ type: ElementType,
        matrix: (Format.Part) throws -> QuantizedMatrix, rowNumbers: (String) throws -> Tensor
    ) throws {
        do {
            layout = try format.parts(rows: rows, columns: columns)
        } catch {
            throw NetworkError.format(error)
        }
        (self.format, self.rows, self.columns, elementType) = (format, rows, columns, type)
        var parts: [NamedTensor] = []
        for part in layout {
            if part.isIndex {
                let numbers = try rowNumbers(part.name)
                self.rowNumbers[part.name] = numbers
                parts.append((part.name, numbers))
            } else {
                let matrix = try matrix(part)
                matrices[part.name] = matrix
                parts.append((part.name, try matrix.elements.reshaped(part.shape)))
                parts.append((Format.scales(of: part.name), matrix.scales))
            }
        }
        self.parts = parts
        if case .pivotedLowRank = format {
            // Distinct and inside the matrix, or an error; other formats are checked where they are widened.
            _ = try RowOrder(kept: self.rowNumbers("pivots"), rows: rows)
        }
    }

    /// A dense matrix.
    package init(_ matrix: QuantizedMatrix) throws {
        try self.init(.dense, matrix.rows, matrix.columns, matrix.elementType) { _ in
            matrix
        } rowNumbers: { _ in
            preconditionFailure("a dense matrix has no row numbers")
        }
    }

    /// A part that holds values, as in "weight", "output", "input", "basis", "core.0".
    package func matrix(_ part: String) -> QuantizedMatrix {
        guard let matrix = matrices[part] else {
            preconditionFailure("a \(format.kind.rawValue) format has no part \(part)")
        }
        return matrix
    }

    /// int32 row numbers, as in "pivots".
    package func rowNumbers(_ part: String) -> Tensor {
        guard let numbers = rowNumbers[part] else {
            preconditionFailure("a \(format.kind.rawValue) format has no row numbers \(part)")
        }
        return numbers
    }

    /// The same network of values in another type.
    /// - Precondition: the format is not dense, which is no network.
    package func widened(as type: ElementType) throws -> Factorization {
        try Factorization(format: format, rows: rows, columns: columns) { name in
            if let numbers = rowNumbers[name] { return numbers }
            guard let part = layout.first(where: { $0.name == name }) else {
                preconditionFailure("Format.parts does not list \(name)")
            }
            return try matrix(name).dequantized(as: type).reshaped(part.shape)
        }
    }

    /// W `[rows, columns]`.
    package func reconstructed(as type: ElementType) throws -> Tensor {
        guard format != .dense else { return try matrix("weight").dequantized(as: type) }
        return try widened(as: type).reconstructed()
    }

    /// The two factors of a low-rank matrix; of a pivoted one with its kept rows as rows of an identity.
    /// - Precondition: the format is one of these.
    package func lowRank() throws -> (output: QuantizedMatrix, input: QuantizedMatrix) {
        switch format {
        case .lowRank: return (matrix("output"), matrix("input"))
        case .pivotedLowRank(let rank):
            let (basis, coefficients) = (matrix("basis"), matrix("coefficients"))
            let order = try RowOrder(kept: rowNumbers("pivots"), rows: rows)
            let device = basis.elements.device
            // 1 is 127 steps of an int8, and itself in e4m3.
            let (one, scale) = elementType == .int8 ? (127.0, 1 / 127.0) : (Double(0x38), 1)
            let identity = try (Tensor.identity(rank, .float32, on: device) * one)
                .converted(to: .uint8)
            let elements = try order.joined(
                identity, coefficients.elements.viewed(as: .uint8), along: 0)
            let scales = try order.joined(
                Tensor.full([rank], scale, .float32, on: device), coefficients.scales, along: 0)
            return (
                try QuantizedMatrix(elements: elements.viewed(as: elementType), scales: scales),
                basis
            )
        default: preconditionFailure("a \(format.kind.rawValue) format is no pair")
        }
    }

    /// Bytes of the values and of their scales.
    package var valueBytes: Int { matrices.values.reduce(0) { $0 + $1.byteCount } }

    /// Values stored; row numbers and scales are not values.
    package var parameterCount: Int {
        layout.reduce(0) { $0 + ($1.isIndex ? 0 : $1.count) }
    }
}
