import CDecode
import TensorNetworks
import Tensors

/// A matrix in this process' memory as C reads it: float32, bfloat16, or one byte a value with scales of its rows.
struct HostMatrix {
    /// Own the memory.
    private let tensors: [Tensor]
    let raw: cd_matrix

    /// - Parameter tensor: of any shape that `rows` divides, row after row; other types become float32.
    init(_ tensor: Tensor, rows: Int) throws {
        let kept = tensor.elementType == .bfloat16 || tensor.elementType == .float32
        let held = try tensor.detached().moved(to: .cpu)
            .converted(to: kept ? tensor.elementType : .float32).contiguous()
        tensors = [held]
        raw = try held.withBytes { bytes in
            cd_matrix(
                values: bytes.baseAddress, type: held.elementType == .bfloat16 ? CD_BF16 : CD_F32,
                rows: Int64(rows), columns: Int64(held.count / max(1, rows)), scales: nil)
        }
    }

    init(_ matrix: QuantizedMatrix) throws {
        let held = try matrix.moved(to: .cpu)
        tensors = [held.elements, held.scales]
        raw = try held.elements.withBytes { elements in
            try held.scales.withBytes { scales in
                cd_matrix(
                    values: elements.baseAddress,
                    type: held.elementType == .int8 ? CD_I8 : CD_E4M3, rows: Int64(held.rows),
                    columns: Int64(held.columns),
                    scales: scales.baseAddress?.assumingMemoryBound(to: Float.self))
            }
        }
    }

    var rows: Int { Int(raw.rows) }
    var columns: Int { Int(raw.columns) }

    /// Writes row `index` as float32.
    func copyRow(_ index: Int, to target: UnsafeMutablePointer<Float>) {
        guard let values = raw.values else { return }
        switch raw.type {
        case CD_BF16:
            let row = values.assumingMemoryBound(to: UInt16.self) + index * columns
            for place in 0..<columns { target[place] = Float(bitPattern: UInt32(row[place]) << 16) }
        default:
            let row = values.assumingMemoryBound(to: Float.self) + index * columns
            target.update(from: row, count: columns)
        }
    }
}
