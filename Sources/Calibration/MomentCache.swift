// The second moments of a model's linear layers on one calibration text, on disk: what analysis weighs
// errors with and two-sided fits minimise. They cost several passes over the text, depend only on the
// checkpoint, the text and a seed, and are named by a hash of those, so that every run shares them.
import Artifacts
import Foundation
import Models
import Tensors

package struct MomentCache {
    package let folder: String

    /// - Parameter root: folder of all caches.
    package init(source: Fingerprint, windows: [[Int]], seed: UInt64, in root: String) {
        var text: [UInt8] = []
        for token in windows.joined() {
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: token).littleEndian) { text += $0 }
        }
        let key = Fingerprint(hashing: [
            Array("minima moments 1".utf8), Array(source.hex.utf8),
            Array("\(windows.count) \(seed)".utf8), text,
        ])
        folder = "\(root)/moments-\(key.hex.prefix(24))"
    }

    package static var defaultRoot: String { CacheFolder.root }

    /// Moments of a model that take more than this are not kept whole: see `MomentPass.Keeping`.
    static let mostBytes = 32 << 30
    /// Of layers with more outputs only the diagonal of G is collected: 25,600 of them would take 2.6 GB
    /// a layer.
    package static let widestOutput = 16_384

    /// What all moments of a model take on disk.
    package static func byteCount(of configuration: ModelConfiguration) -> Int {
        let modules = configuration.linearModules(ofLayer: 0)
        let outputs = modules.reduce(0) {
            $0 + ($1.rows > widestOutput ? $1.rows : $1.rows * $1.rows)
        }
        let inputs = Projection.Input.allCases.reduce(0) { sum, input in
            let width = configuration.module(input.projections[0], ofLayer: 0).columns
            return sum + width * width
        }
        return configuration.layerCount * (outputs + inputs) * ElementType.float32.byteCount
    }

    // MARK: Moments

    /// A = E[x·xᵀ] of what the layers of `input` read, `[in, in]`, float32.
    package func moment(of input: Projection.Input, layer: Int) throws -> Tensor {
        try moment(input.rawValue, inputsPath(layer))
    }

    /// G = E[g·gᵀ] with g the gradient of the loss by the layer's output, `[out, out]`, float32; the
    /// loss is the sum over a window's tokens, with labels sampled from the model itself. Beyond
    /// `widestOutput` only its diagonal.
    package func moment(of projection: Projection, layer: Int) throws -> Tensor {
        try moment(projection.rawValue, outputsPath(layer))
    }

    /// Whether the moments of a block that are to be kept are there.
    func has(_ layer: Int, _ kept: MomentPass.Keeping) -> Bool {
        switch kept {
        case .everything: exists(inputsPath(layer)) && exists(outputsPath(layer))
        case .outputs: exists(outputsPath(layer))
        case .nothing: true
        }
    }

    func hasInputs(_ layer: Int) -> Bool { exists(inputsPath(layer)) }

    func writeInputs(_ moments: BlockMoments, layer: Int) throws {
        try write(
            Projection.Input.allCases.map { ($0.rawValue, try moments.moment(of: $0)) },
            to: inputsPath(layer))
    }

    func writeOutputs(_ moments: BlockMoments, layer: Int) throws {
        try write(
            Projection.allCases.map { ($0.rawValue, try moments.collected($0)) },
            to: outputsPath(layer))
    }

    // MARK: Files

    /// Hidden states that block `layer` reads, while the moments are collected.
    func statesPath(_ layer: Int) -> String { "\(folder)/states-\(layer).safetensors" }

    /// The same, while those of the inputs alone are collected; each is removed once it has been read.
    func forwardStatesPath(_ layer: Int) -> String { "\(folder)/forward-\(layer).safetensors" }

    /// Gradients by what block `layer` returns, while the moments are collected.
    func gradientsPath(_ layer: Int) -> String { "\(folder)/gradients-\(layer).safetensors" }

    private func inputsPath(_ layer: Int) -> String { "\(folder)/inputs-\(layer).safetensors" }
    private func outputsPath(_ layer: Int) -> String { "\(folder)/outputs-\(layer).safetensors" }
    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func write(_ moments: [(name: String, moment: Tensor)], to path: String) throws {
        let stored = try moments.map { name, moment in
            (name: name, moment: try moment.converted(to: .float32).moved(to: .cpu).contiguous())
        }
        let writer = try SafetensorsWriter(
            path, declaring: stored.map { TensorInfo(name: $0.name, of: $0.moment) })
        for (name, moment) in stored { try writer.write(moment, named: name) }
        try writer.finish()
    }

    private func moment(_ name: String, _ path: String) throws -> Tensor {
        let file = try SafetensorsFile(path)
        guard let shape = file.info(name)?.shape,
            shape.count == 1 || shape.count == 2 && shape[0] == shape[1]
        else { throw CalibrationError.foreignMoments(file: path, tensor: name) }
        let moment = try file.tensor(named: name).copied()
        return shape.count == 1 ? try moment.diagonalMatrix() : moment
    }
}
