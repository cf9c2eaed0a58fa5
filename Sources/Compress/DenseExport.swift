import Artifacts
import Foundation
import Models
import Tensors

/// compressed checkpoint → plain Hugging Face checkpoint that any runtime loads: every compressed
/// matrix multiplied out, in the type that its parts are stored in.
package struct DenseExport {
    package let source: String
    package let output: String
    package var overwrite = false

    package init(source: String, output: String) {
        self.source = source
        self.output = output
    }

    /// - Parameter progress: tensors written of how many; throwing from it leaves no output.
    package func run(progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        guard let manifest = checkpoint.manifest else { throw CompressError.alreadyDense(source) }
        try checkpoint.validate(against: configuration)
        let folder = try OutputFolder(output, overwrite: overwrite)

        let parts = manifest.tensorNames
        let copied = checkpoint.tensorNames.filter { !parts.contains($0) }
        let weights = try manifest.matrices.map { matrix in
            let type = matrix.patches.first?.elementType ?? .bfloat16
            guard
                let info = TensorInfo(
                    name: "\(matrix.name).weight", elementType: type,
                    shape: [matrix.rows, matrix.columns])
            else { throw CompressError.alreadyDense(source) }
            return info
        }
        let writer = try SafetensorsWriter(
            "\(folder.path)/\(Checkpoint.singleFile)",
            declaring: copied.compactMap { checkpoint.info($0) } + weights)
        var done = 0
        func step() throws {
            done += 1
            try progress(done, copied.count + weights.count)
        }
        for name in copied {
            try writer.write(try checkpoint.tensor(named: name), named: name)
            try checkpoint.release(name)
            try step()
        }
        let loader = WeightLoader(checkpoint, as: .float64, on: .cpu)
        for (matrix, weight) in zip(manifest.matrices, weights) {
            let dense = try loader.weight(of: matrix).dense()
            try writer.write(try dense.converted(to: weight.elementType), named: weight.name)
            try step()
        }
        try writer.finish()
        try CompanionFiles.copy(from: source, to: folder.path)
        try folder.publish()
    }
}
