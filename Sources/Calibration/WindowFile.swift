import Artifacts
import Foundation
import Tensors

/// Calibration windows on disk, as token ids.
package enum WindowFile {
    private static let name = "tokens"

    package static func write(_ windows: [[Int]], to path: String) throws {
        guard let length = windows.first?.count, length > 0 else { throw CalibrationError.empty }
        let tokens = try Tensor(windows.flatMap { $0 }, shape: [windows.count, length])
        let writer = try SafetensorsWriter(path, declaring: [TensorInfo(name: name, of: tokens)])
        try writer.write(tokens, named: name)
        try writer.finish()
    }

    package static func read(_ path: String) throws -> [[Int]] {
        let tokens = try SafetensorsFile(path).tensor(named: name)
        guard tokens.shape.count == 2, tokens.shape[1] > 0 else { throw CalibrationError.empty }
        let (all, length) = (try tokens.elements(as: Int.self), tokens.shape[1])
        return stride(from: 0, to: all.count, by: length).map { Array(all[$0..<$0 + length]) }
    }
}

extension CalibrationText {
    /// The windows; those that take long to make are kept in `root`, and made once for each model.
    package func windows(of source: Fingerprint, keptIn root: String) throws -> [[Int]] {
        guard case .made(let origin, let make) = self else { return try windows() }
        let key = Fingerprint(hashing: [Array(source.hex.utf8), Array(origin.utf8)])
        let path = "\(root)/text-\(key.hex.prefix(24)).safetensors"
        if FileManager.default.fileExists(atPath: path) { return try WindowFile.read(path) }
        let windows = try make()
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try WindowFile.write(windows, to: path)
        return windows
    }
}
