import Artifacts
import TensorNetworks
import Tensors

/// Reads a checkpoint's tensors as a model computes with them.
package struct WeightLoader {
    package let checkpoint: Checkpoint
    /// Type of values; row numbers stay int32.
    private let type: ElementType
    private let device: Device
    private let shared: SharedTensors

    package init(_ checkpoint: Checkpoint, as type: ElementType, on device: Device) {
        self.checkpoint = checkpoint
        self.type = type
        self.device = device
        shared = SharedTensors(names: checkpoint.manifest?.sharedTensorNames ?? [])
    }

    /// Tensors that several matrices are made of: loaded once by a loader, and held by it.
    private final class SharedTensors {
        let names: Set<String>
        var loaded: [String: Tensor] = [:]

        init(names: Set<String>) { self.names = names }
    }

    /// The named tensor, with memory of its own and checked to hold no NaN or infinity.
    package func tensor(_ name: String) throws -> Tensor {
        let stored = try checkpoint.tensor(named: name)
        let isValue = stored.elementType.isFloatingPoint
        if isValue { try checkpoint.requireFinite(name) }
        let loaded = try stored.to(isValue ? type : stored.elementType, device, copy: true)
        // The copy is what stays: the file's pages would otherwise double the weights in memory.
        try checkpoint.release(name)
        return loaded
    }

    /// A linear layer: a network where the manifest says so, else dense.
    package func linear(_ module: LinearModule) throws -> Linear {
        let bias = module.hasBias ? try tensor("\(module.name).bias") : nil
        guard let matrix = checkpoint.manifest?.matrix(module.name) else {
            return Linear(.dense(try tensor(module.weight.name)), bias: bias)
        }
        return Linear(try weight(of: matrix), bias: bias)
    }

    /// The weight of a matrix that the manifest lists.
    package func weight(of matrix: CompressedMatrix) throws -> Linear.Weight {
        guard matrix.patches.count == 1, let patch = matrix.patches.first else {
            throw ModelError.patches(matrix: matrix.name, count: matrix.patches.count)
        }
        func part(_ name: String) throws -> Tensor {
            guard let stored = patch.tensors[name] else {
                preconditionFailure("the manifest was checked to name every part")
            }
            guard shared.names.contains(stored) else { return try tensor(stored) }
            if let known = shared.loaded[stored] { return known }
            let loaded = try tensor(stored)
            shared.loaded[stored] = loaded
            return loaded
        }
        if patch.format == .dense { return .dense(try part("weight")) }
        return .network(
            try Factorization(
                format: patch.format, rows: matrix.rows, columns: matrix.columns, parts: part))
    }
}

/// A checkpoint that is in order but that this program cannot run.
package enum ModelError: Error, CustomStringConvertible {
    case patches(matrix: String, count: Int)

    package var description: String {
        switch self {
        case .patches(let matrix, let count):
            "matrix '\(matrix)' is cut into \(count) patches; this version runs matrices of one patch"
        }
    }
}
