import Tensors

extension SafetensorsFile {
    /// Requires that a tensor holds neither NaN nor infinity; integers always pass.
    ///
    /// Looks at the bits of the mapped file piece by piece and allocates nothing.
    package func requireFinite(_ name: String) throws(CheckpointError) {
        let type = try locate(name).info.elementType
        var checked = 0
        try forEachChunk(of: name) { (chunk) throws(CheckpointError) in
            if let element = type.firstNotFinite(in: chunk) {
                throw .notFinite(tensor: name, element: checked + element, file: path)
            }
            checked += chunk.count / type.byteCount
        }
    }
}

extension ElementType {
    /// Position of the first element that is NaN or infinite.
    func firstNotFinite(in bytes: UnsafeRawBufferPointer) -> Int? {
        // A number is NaN or infinite exactly when its exponent bits are all ones; E4M3 has no
        // infinity and only 0x7F and 0xFF are NaN.
        switch self {
        case .float64: first(in: bytes, withAllOf: 0x7FF0_0000_0000_0000 as UInt64)
        case .float32: first(in: bytes, withAllOf: 0x7F80_0000 as UInt32)
        case .bfloat16: first(in: bytes, withAllOf: 0x7F80 as UInt16)
        case .float16: first(in: bytes, withAllOf: 0x7C00 as UInt16)
        case .float8e5m2: first(in: bytes, withAllOf: 0x7C as UInt8)
        case .float8e4m3: first(in: bytes, withAllOf: 0x7F as UInt8)
        case .bool, .uint8, .int8, .int16, .uint16, .int32, .uint32, .int64, .uint64: nil
        }
    }

    private func first<Bits: FixedWidthInteger & BitwiseCopyable>(
        in bytes: UnsafeRawBufferPointer, withAllOf mask: Bits
    ) -> Int? {
        let width = MemoryLayout<Bits>.size
        func matches(_ element: Int) -> Bool {
            // Safetensors is little endian, and so are the machines that Swift on Linux runs on.
            bytes.loadUnaligned(fromByteOffset: element * width, as: Bits.self) & mask == mask
        }
        // Blocks without a branch inside, which the compiler vectorises.
        let count = bytes.count / width
        let block = 1_024
        for start in stride(from: 0, to: count, by: block) {
            let end = min(start + block, count)
            var found = false
            for element in start..<end where matches(element) { found = true }
            if found { return (start..<end).first(where: matches) }
        }
        return nil
    }
}
