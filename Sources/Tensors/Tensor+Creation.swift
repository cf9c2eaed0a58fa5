import CTorch

extension Tensor {
    /// A tensor whose every element is `value`.
    package static func full(
        _ shape: [Int], _ value: Double, _ type: ElementType = .float32, on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("full", []) { _, out in
            shape.withDims { ct_full($0, $1, value, type.raw, device.kind, device.index, out) }
        }
    }

    package static func zeros(
        _ shape: [Int], _ type: ElementType = .float32, on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try full(shape, 0, type, on: device)
    }

    package static func ones(
        _ shape: [Int], _ type: ElementType = .float32, on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try full(shape, 1, type, on: device)
    }

    /// A tensor whose elements are whatever the memory held.
    package static func uninitialized(
        _ shape: [Int], _ type: ElementType = .float32, on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("uninitialized", []) { _, out in
            shape.withDims { ct_empty($0, $1, type.raw, device.kind, device.index, out) }
        }
    }

    /// `start, start + step, …` below `end`; shape `[ceil((end − start) / step)]`.
    package static func range(
        _ start: Double = 0, to end: Double, by step: Double = 1, _ type: ElementType = .int64,
        on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("range", []) { _, out in
            ct_arange(start, end, step, type.raw, device.kind, device.index, out)
        }
    }

    /// The `[size, size]` identity.
    package static func identity(
        _ size: Int, _ type: ElementType = .float32, on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("identity", []) { _, out in
            ct_eye(Int64(size), Int64(size), type.raw, device.kind, device.index, out)
        }
    }

    /// Independent standard normal elements; the same seed gives the same tensor on every device.
    package static func normal(
        _ shape: [Int], seed: UInt64, _ type: ElementType = .float32, on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try random(shape, normal: true, seed: seed, type).moved(to: device)
    }

    /// Independent standard normal elements, made on the device itself: billions of them take a moment
    /// on a GPU, and another device gives other values.
    package static func noise(
        _ shape: [Int], seed: UInt64, _ type: ElementType = .float32, on device: Device
    ) throws(TensorError) -> Tensor {
        try TorchCall.make("noise", []) { _, out in
            shape.withDims {
                ct_noise($0, $1, seed, type.raw, device.kind, device.index, out)
            }
        }
    }

    /// Independent elements, uniform over [0, 1).
    package static func uniform(
        _ shape: [Int], seed: UInt64, _ type: ElementType = .float32, on device: Device = .cpu
    ) throws(TensorError) -> Tensor {
        try random(shape, normal: false, seed: seed, type).moved(to: device)
    }

    private static func random(
        _ shape: [Int], normal: Bool, seed: UInt64, _ type: ElementType
    ) throws(TensorError) -> Tensor {
        try TorchCall.make(normal ? "normal" : "uniform", []) { _, out in
            shape.withDims { ct_random($0, $1, normal, seed, type.raw, out) }
        }
    }
}
