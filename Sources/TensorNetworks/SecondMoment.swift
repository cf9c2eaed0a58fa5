import Tensors

/// E[u·vᵀ] over tokens, made fit for factoring: symmetric, shrunk towards a multiple of the identity,
/// and scaled to a mean diagonal of 1 (no fit depends on its scale, and products of four tiny moments
/// would underflow).
///
/// A class, because its factor costs n³ and only some fits need it.
package final class SecondMoment {
    /// `[size, size]`, float64.
    package let matrix: Tensor
    /// What the moment's mean diagonal was.
    package let scale: Double
    /// Share of the identity in `matrix`: 1 where the moment was zero.
    package let shrinkage: Double
    private var knownFactor: WhiteningFactor?

    /// A ← (1 − shrinkage)·A + shrinkage·mean(diag A)·I.
    ///
    /// A moment that is zero says nothing about directions: it becomes the identity.
    /// - Parameters:
    ///   - moment: `[size, size]`.
    ///   - name: what errors call it.
    package init(_ moment: Tensor, size: Int, shrinkage: Double, name: String) throws {
        guard (0...1).contains(shrinkage) else { throw NetworkError.shrinkage(shrinkage) }
        guard moment.shape == [size, size] else {
            throw NetworkError.shape(part: name, expected: [size, size], found: moment.shape)
        }
        let raw = try moment.converted(to: .float64)
        try raw.requireFinite(name)
        let mean = try raw.diagonal().mean().scalar()
        guard mean > 0, mean.isFinite else {
            (matrix, scale) = (try Tensor.identity(size, .float64, on: raw.device), 1)
            self.shrinkage = 1
            return
        }
        scale = mean
        self.shrinkage = shrinkage
        // In place: the moment of a wide feed-forward layer is the largest thing that a fit holds.
        matrix = try raw + raw.transposed()
        try matrix.scale(by: (1 - shrinkage) / (2 * mean))
        try matrix.diagonal().accumulate(Tensor.full([], shrinkage, .float64, on: raw.device))
        try matrix.requireFinite(name)
    }

    /// L with L·Lᵀ = the moment.
    package func factor() throws -> WhiteningFactor {
        if let knownFactor { return knownFactor }
        let factor = try WhiteningFactor(of: matrix)
        knownFactor = factor
        return factor
    }
}

extension Tensor {
    /// Throws where any element is NaN or infinite.
    func requireFinite(_ name: String) throws {
        // A finite norm proves it without a temporary of the tensor's size; one that overflows does not
        // disprove it.
        guard try norm().scalar().isFinite || finite().all().scalar() == 1 else {
            throw NetworkError.notFinite(name)
        }
    }
}
