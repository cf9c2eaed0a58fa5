import Foundation
import Tensors

/// Most memory that this process has held so far.
package enum PeakMemory {
    /// Bytes on `device`: resident memory for the CPU, libtorch's reservation for a GPU.
    package static func bytes(on device: Device) throws -> Int {
        switch device {
        case .cpu: try residentBytes()
        case .cuda: try TorchRuntime.peakMemory(on: device)
        }
    }

    /// VmHWM of the process.
    package static func residentBytes() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            let kibibytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst()
                .first
            return (kibibytes.flatMap { Int($0) } ?? 0) * 1024
        }
        return 0
    }
}
