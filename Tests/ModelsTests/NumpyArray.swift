import Foundation
import Tensors

/// Reads what `numpy.save` writes for a C-ordered little-endian float32 array, and nothing else.
enum NumpyArray {
    enum Fault: Error {
        case notNumpy, unsupported(header: String), size
    }

    static func tensor(_ path: String) throws -> Tensor {
        let bytes = [UInt8](try TestData.bytes(path))
        guard bytes.count >= 10, bytes.starts(with: [0x93] + Array("NUMPY".utf8)), bytes[6] == 1
        else {
            throw Fault.notNumpy
        }
        let end = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        guard bytes.count >= end else { throw Fault.size }
        // As in {'descr': '<f4', 'fortran_order': False, 'shape': (200, 512), }
        let header = String(decoding: bytes[10..<end], as: UTF8.self)
        guard header.contains("'descr': '<f4'"), header.contains("'fortran_order': False"),
            let extents = header.split(separator: "(").last?.split(separator: ")").first
        else { throw Fault.unsupported(header: header) }
        let shape = extents.split(separator: ",").compactMap {
            Int($0.trimmingCharacters(in: .whitespaces))
        }
        guard bytes.count - end == 4 * shape.reduce(1, *) else { throw Fault.size }
        let values = bytes[end...].withUnsafeBytes { raw in
            stride(from: 0, to: raw.count, by: 4).map {
                Float(
                    bitPattern: UInt32(
                        littleEndian: raw.loadUnaligned(fromByteOffset: $0, as: UInt32.self)))
            }
        }
        return try Tensor(values, shape: shape)
    }
}
