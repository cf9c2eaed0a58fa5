import Kernels

/// A launch, or a few, of a decode step; ready for any number of columns.
protocol DeviceOperation {
    func launch(columns: Int, _ kernels: DeviceKernels, on stream: CUDAStream) throws
}

extension DeviceLayer: DeviceOperation {}
