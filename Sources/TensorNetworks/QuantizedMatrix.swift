import Tensors

/// A matrix `[rows, columns]` of one byte a value: W[r, c] = scales[r] · elements[r, c].
///
/// Rows have a scale each, so a product with W is the elements' product, scaled once per row.
package struct QuantizedMatrix {
    /// int8 or float8e4m3 `[rows, columns]`, contiguous.
    package let elements: Tensor
    /// float32 `[rows]`, above zero.
    package let scales: Tensor

    package var rows: Int { elements.shape[0] }
    package var columns: Int { elements.shape[1] }
    package var elementType: ElementType { elements.elementType }
    package var byteCount: Int { elements.byteCount + scales.byteCount }

    /// What is read from a file, checked.
    /// - Parameter name: what errors call it.
    package init(elements: Tensor, scales: Tensor, name: String = "a matrix") throws {
        guard elements.elementType.isQuantized, elements.shape.count == 2 else {
            throw NetworkError.elementType(
                part: name, expected: "I8 or F8_E4M3", found: elements.elementType)
        }
        guard scales.shape == [elements.shape[0]] else {
            throw NetworkError.shape(
                part: Format.scales(of: name), expected: [elements.shape[0]], found: scales.shape)
        }
        guard scales.elementType == .float32 else {
            throw NetworkError.elementType(
                part: Format.scales(of: name), expected: "F32", found: scales.elementType)
        }
        // NaN is not above zero either.
        guard try scales.count == 0 || (scales.greater(0).and(scales.finite())).all().scalar() == 1
        else { throw NetworkError.scale(part: name) }
        (self.elements, self.scales) = (try elements.contiguous(), try scales.contiguous())
    }

    private init(checked elements: Tensor, _ scales: Tensor) {
        (self.elements, self.scales) = (elements, scales)
    }

    /// Rounds every value to the nearest that its row's scale allows.
    /// - Parameters:
    ///   - matrix: `[rows, columns]`, finite.
    ///   - type: int8 or float8e4m3.
    package init(quantizing matrix: Tensor, as type: ElementType) throws {
        let grid = try QuantizationGrid(of: matrix, as: type)
        self = try grid.matrix(grid.rounded(matrix.converted(to: .float64)))
    }

    /// W in another type; exact in float64, else rounded to float32 first.
    package func dequantized(as type: ElementType) throws -> Tensor {
        let wide: ElementType = type == .float64 ? .float64 : .float32
        // float8 becomes float32 alone.
        let values = try elements.converted(to: .float32).converted(to: wide)
        return try (values * scales.converted(to: wide).unsqueezed(1)).converted(to: type)
    }

    package func moved(to device: Device) throws -> QuantizedMatrix {
        QuantizedMatrix(checked: try elements.moved(to: device), try scales.moved(to: device))
    }

    fileprivate static func assembled(_ elements: Tensor, _ scales: Tensor) -> QuantizedMatrix {
        QuantizedMatrix(checked: elements, scales)
    }
}

/// The values that the rows of a matrix may take.
struct QuantizationGrid {
    let type: ElementType
    /// float64 `[rows, 1]`, each a float32.
    let scales: Tensor

    /// Scales of the rows' largest magnitudes; rows of zeros have scale 1.
    init(of matrix: Tensor, as type: ElementType) throws {
        precondition(type.isQuantized && matrix.shape.count == 2, "one byte a value, in a matrix")
        self.type = type
        let largest = try matrix.detached().converted(to: .float64).magnitude().max(
            1, keeping: true)
        let scales = try (largest / type.largestElement).converted(to: .float32)
            .converted(to: .float64)
        // Below the least normal float32 nothing is worth a scale of its own.
        self.scales = try scales.filled(where: scales.less(1.2e-38), with: 1)
    }

    private init(type: ElementType, scales: Tensor) { (self.type, self.scales) = (type, scales) }

    /// The elements nearest to `values` `[rows, …]`, float64, in units of the scales.
    private func elements(_ values: Tensor) throws -> Tensor {
        let most = type.largestElement
        let scaled = try (values / scales).clamped(-most...most)
        switch type {
        case .int8:
            // Beyond 2⁵¹ doubles are whole numbers: the sum is rounded, half to even.
            let shift = 6_755_399_441_055_744.0
            return try (scaled + shift) - shift
        default:
            return try scaled.converted(to: .float32).converted(to: type).converted(to: .float64)
        }
    }

    /// The nearest values, float64.
    func rounded(_ values: Tensor) throws -> Tensor { try elements(values) * scales }

    /// A matrix of values that are on the grid, float64 `[rows, columns]`.
    func matrix(_ values: Tensor) throws -> QuantizedMatrix {
        let elements = try elements(values)
        return .assembled(
            try elements.converted(to: .float32).converted(to: type).contiguous(),
            try scales.converted(to: .float32).reshaped([elements.shape[0]]).contiguous())
    }
}

extension ElementType {
    /// Magnitude that the largest value of a row is stored as.
    var largestElement: Double {
        switch self {
        case .int8: 127
        case .float8e4m3: 448
        default: preconditionFailure("\(rawValue) is not stored with scales")
        }
    }
}
