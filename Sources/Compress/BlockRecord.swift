import Artifacts
import Foundation

/// How well a block's matrices were fitted, kept with an unfinished run for its report.
enum BlockRecord {
    static func write(_ matrices: [CompressionReport.Matrix], to path: String) throws {
        try AtomicFile.write(StrictJSON.encode(matrices), to: path)
    }

    static func read(_ path: String) throws -> [CompressionReport.Matrix] {
        let contents = try Data(contentsOf: URL(fileURLWithPath: path))
        return try StrictJSON.decode(
            [CompressionReport.Matrix].self, from: Array(contents), of: path)
    }
}
