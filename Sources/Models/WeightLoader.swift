import Artifacts
import TensorNetworks
import Tensors

/// Reads a checkpoint's tensors as a model computes with them.
package struct WeightLoader {
    private let source: WeightSource
    /// Type of values; row numbers stay int32.
    private let type: ElementType
    private let device: Device
    private let shared: SharedTensors

    package init(_ source: WeightSource, as type: ElementType, on device: Device) {
        self.source = source
        self.type = type
        self.device = device
        shared = SharedTensors(names: source.manifest?.sharedTensorNames ?? [])
    }

    /// Tensors that several matrices are made of: loaded once by a loader, and held by it.
    private final class SharedTensors {
        let names: Set<String>
        var loaded: [String: Tensor] = [:]

        init(names: Set<String>) { self.names = names }
    }

    package init(_ checkpoint: Checkpoint, as type: ElementType, on device: Device) {
        self.init(.checkpoint(checkpoint), as: type, on: device)
    }

    /// The named tensor, with memory of its own and checked to hold no NaN or infinity.
    package func tensor(_ name: String) throws -> Tensor { try tensor(name, as: type) }

    /// - Parameter type: of floating-point values; `nil` leaves them as they are stored.
    private func tensor(_ name: String, as type: ElementType?) throws -> Tensor {
        let checkpoint: Checkpoint
        switch source {
        case .checkpoint(let opened): checkpoint = opened
        case .random(let model): return try model.tensor(name, as: type ?? .float32, on: device)
        case .tensors(let tensors, _):
            guard let tensor = tensors[name] else {
                preconditionFailure("'\(name)' is not among the tensors of the model in memory")
            }
            // Not copied where nothing is to be converted: gradients find their way back to it.
            return try tensor.to(
                tensor.elementType.isFloatingPoint
                    ? type ?? tensor.elementType : tensor.elementType,
                device)
        }
        let stored = try checkpoint.tensor(named: name)
        let isValue = stored.elementType.isFloatingPoint
        if isValue { try checkpoint.requireFinite(name) }
        let loaded = try stored.to(
            isValue ? type ?? stored.elementType : stored.elementType, device, copy: true)
        // The copy is what stays: the file's pages would otherwise double the weights in memory.
        try checkpoint.release(name)
        return loaded
    }

    /// A linear layer: a network where the manifest says so, else dense.
    package func linear(_ module: LinearModule) throws -> Linear {
        let bias = module.hasBias ? try tensor("\(module.name).bias") : nil
        guard let matrix = source.manifest?.matrix(module.name) else {
            return Linear(.dense(try tensor(module.weight.name)), bias: bias)
        }
        return Linear(try weight(of: matrix), bias: bias)
    }

    /// The weight of a matrix that the manifest lists.
    package func weight(of matrix: CompressedMatrix) throws -> Linear.Weight {
        if matrix.patches.count == 1 { return try weight(of: matrix.patches[0]) }
        return .patches(
            PatchedMatrix(
                rows: matrix.rows, columns: matrix.columns,
                patches: try matrix.patches.map {
                    PatchedMatrix.Patch($0.region, try weight(of: $0))
                }))
    }

    private func weight(of patch: CompressedPatch) throws -> Linear.Weight {
        let isQuantized = patch.elementType.isQuantized
        func part(_ name: String) throws -> Tensor {
            guard let stored = patch.tensors[name] else {
                preconditionFailure("the manifest was checked to name every part")
            }
            let type = isQuantized ? nil : type
            guard shared.names.contains(stored) else { return try tensor(stored, as: type) }
            if let known = shared.loaded[stored] { return known }
            let loaded = try tensor(stored, as: type)
            shared.loaded[stored] = loaded
            return loaded
        }
        if isQuantized {
            return .quantized(
                try QuantizedNetwork(
                    format: patch.format, rows: patch.region.rows.count,
                    columns: patch.region.columns.count, as: patch.elementType, stored: part))
        }
        if patch.format == .dense { return .dense(try part("weight")) }
        return .network(
            try Factorization(
                format: patch.format, rows: patch.region.rows.count,
                columns: patch.region.columns.count, parts: part))
    }
}
