import Artifacts
import Foundation

/// How well a block's matrices were fitted, kept with an unfinished run for its report.
enum BlockRecord {
    static func write(_ matrices: [CompressionReport.Matrix], to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try AtomicFile.write(try encoder.encode(matrices), to: path)
    }

    static func read(_ path: String) throws -> [CompressionReport.Matrix] {
        try JSONDecoder().decode(
            [CompressionReport.Matrix].self, from: try Data(contentsOf: URL(fileURLWithPath: path)))
    }
}
