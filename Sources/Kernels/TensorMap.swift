import CCUDA

/// Rows of bfloat16 values as the copy engine of a multiprocessor sees them (compute capability 9.0): it copies boxes of
/// them into shared memory, with zeros for what is beyond the matrix.
package struct TensorMap {
    /// 128 bytes, for a kernel's arguments.
    package let map: CUtensorMap

    /// Columns of a box: 128 bytes, what a swizzle spans.
    package static let boxColumns = 64

    /// - Parameters:
    ///   - address: of the first value, a multiple of 16.
    ///   - stride: bytes from a row to the next, a multiple of 16.
    ///   - boxRows: of a box; where they are a multiple of 8 its 16-byte pieces are exchanged by row, so that 8 rows'
    ///     pieces of one number do not meet in a bank of shared memory.
    package init(
        address: UInt64, rows: Int, columns: Int, stride: Int, boxRows: Int,
        on device: CUDADevice
    ) throws(CUDAError) {
        // The driver writes to a multiple of 64.
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<CUtensorMap>.size, alignment: 64)
        defer { memory.deallocate() }
        let made = memory.bindMemory(to: CUtensorMap.self, capacity: 1)
        let (sizes, strides) = ([UInt64(columns), UInt64(rows)], [UInt64(stride)])
        let (box, steps) = ([UInt32(Self.boxColumns), UInt32(boxRows)], [UInt32(1), 1])
        try device.call("cuTensorMapEncodeTiled") {
            $0.pointee.cuTensorMapEncodeTiled(
                made, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, address, sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE,
                boxRows % 8 == 0 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
                CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
        }
        map = made.pointee
    }
}
