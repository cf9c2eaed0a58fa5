import Tensors

/// Sees what the linear layers of a block read and compute, as calibration does.
package protocol LinearObserver: AnyObject {
    /// - Parameter x: `[batch, tokens, in]`, which all layers of `input` are about to read.
    func willRead(_ x: Tensor, _ input: Projection.Input) throws
    /// - Parameter y: `[batch, tokens, out]`, bias included.
    func didCompute(_ y: Tensor, _ projection: Projection) throws
}

extension LinearObserver {
    package func willRead(_ x: Tensor, _ input: Projection.Input) throws {}
    package func didCompute(_ y: Tensor, _ projection: Projection) throws {}
}
