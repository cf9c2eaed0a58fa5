import Artifacts
import Foundation
import Models
import Tensors

/// compressed checkpoint → plain Hugging Face checkpoint that any runtime loads: every compressed
/// matrix multiplied out, in the type that its parts are stored in.
package struct DenseExport {
    package let source: String
    package let output: String
    /// Replace an existing output.
    package var overwrite = false

    package init(source: String, output: String) {
        self.source = source
        self.output = output
    }

    /// The type of the parts; of quantised ones the model's, as config.json has it.
    private static func elementType(
        of matrix: CompressedMatrix, _ configuration: ModelConfiguration
    ) -> ElementType {
        guard let type = matrix.patches.first?.elementType, !type.isQuantized else {
            return configuration.elementType ?? .bfloat16
        }
        return type
    }

    /// - Parameter progress: tensors written of how many; throwing from it leaves no output.
    package func run(progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        let configuration = try ModelConfiguration(folder: source)
        let checkpoint = try Checkpoint(source)
        guard let manifest = checkpoint.manifest else { throw CompressError.alreadyDense(source) }
        try checkpoint.validate(against: configuration)
        let folder = try OutputFolder(output, overwrite: overwrite)

        let parts = manifest.tensorNames
        let kept = checkpoint.tensorNames.filter { !parts.contains($0) }
        let weights = manifest.matrices.compactMap { matrix in
            TensorInfo(
                name: "\(matrix.name).weight",
                elementType: Self.elementType(of: matrix, configuration),
                shape: [matrix.rows, matrix.columns])
        }
        var done = 0
        func step() throws {
            done += 1
            try progress(done, kept.count + weights.count)
        }
        let loader = WeightLoader(checkpoint, as: .float64, on: .cpu)
        try folder.replace {
            let writer = try CheckpointWriter(
                folder.path, like: source,
                declaring: kept.compactMap { checkpoint.info($0) } + weights)
            for name in kept {
                try writer.copy(name, from: checkpoint)
                try step()
            }
            for (matrix, weight) in zip(manifest.matrices, weights) {
                let dense = try withoutGradients { try loader.weight(of: matrix).dense() }
                try writer.write(try dense.converted(to: weight.elementType), named: weight.name)
                try step()
            }
            try writer.finish()
        }
    }
}
