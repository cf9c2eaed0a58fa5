import TensorNetworks
import Tensors

/// A matrix as the GPU's kernels read it: rows of whole 16-byte pieces, in bfloat16, int8 or e4m3.
struct DeviceMatrix {
    let rows: Int
    /// What is beyond the matrix is zero.
    let columns: Int
    /// Columns of the input that it is multiplied with, a multiple of 8.
    let terms: Int
    let elementType: ElementType
    private let elements: Tensor
    /// float32 `[rows]`, of quantised values.
    private let scales: Tensor?

    /// - Parameters:
    ///   - matrix: bfloat16 `[rows, columns]` on a GPU; read where it is, if its shape allows that.
    ///   - rows: zero rows follow up to this number.
    init(_ matrix: Tensor, rows: Int? = nil) throws {
        try self.init(elements: matrix, scales: nil, as: .bfloat16, rows: rows)
    }

    init(_ matrix: QuantizedMatrix, rows: Int? = nil) throws {
        // Bytes can be padded, whatever they mean.
        try self.init(
            elements: matrix.elements.viewed(as: .uint8), scales: matrix.scales,
            as: matrix.elementType, rows: rows)
    }

    private init(elements: Tensor, scales: Tensor?, as type: ElementType, rows: Int?) throws {
        let (shape, piece) = (elements.shape, 16 / type.byteCount)
        let missing = (
            rows: (rows ?? shape[0]) - shape[0],
            columns: (piece - shape[1] % piece) % piece
        )
        self.rows = shape[0] + missing.rows
        columns = shape[1] + missing.columns
        terms = shape[1] % 8 == 0 ? shape[1] : columns
        elementType = type
        let whole =
            missing == (0, 0) ? elements : try elements.padded([missing.columns, missing.rows])
        self.elements = try whole.contiguous()
        self.scales = missing.rows == 0 ? scales : try scales?.padded([missing.rows])
    }

    var address: UInt64 { elements.deviceAddress }
    /// Of the scales, or 0.
    var scaleAddress: UInt64 { scales?.deviceAddress ?? 0 }
}
