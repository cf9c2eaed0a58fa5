import Artifacts
import TensorNetworks
import Tensors

/// A matrix W `[rows, columns]` cut into patches that tile it, each dense or a network of its own.
package struct PatchedMatrix {
    package struct Patch {
        package let region: MatrixRegion
        /// `[region.rows, region.columns]`, not itself patched.
        package let weight: Linear.Weight

        package init(_ region: MatrixRegion, _ weight: Linear.Weight) {
            self.region = region
            self.weight = weight
        }
    }

    package let rows: Int
    package let columns: Int
    package let patches: [Patch]
    /// Patches that write the same rows, in order of rows; `nil` where some overlap in rows and are not
    /// the same, as bricks do.
    private let bands: [[Patch]]?

    /// - Precondition: the patches tile the matrix, as plans and manifests were checked to say.
    package init(rows: Int, columns: Int, patches: [Patch]) {
        self.rows = rows
        self.columns = columns
        self.patches = patches
        let grouped = Dictionary(grouping: patches, by: \.region.rows).values
            .sorted { $0[0].region.rows.lowerBound < $1[0].region.rows.lowerBound }
        let isBanded = zip(grouped, grouped.dropFirst()).allSatisfy {
            $0[0].region.rows.upperBound <= $1[0].region.rows.lowerBound
        }
        bands = isBanded ? grouped : nil
    }

    /// y = x·Wᵀ.
    /// - Parameter x: `[…, columns]`.
    /// - Returns: `[…, rows]`.
    package func apply(_ x: Tensor) throws -> Tensor {
        let last = x.shape.count - 1
        func product(_ patch: Patch) throws -> Tensor {
            let columns = patch.region.columns
            let part =
                columns.count == self.columns ? x : try x.narrowed(last, columns).contiguous()
            return try Linear(patch.weight)(part)
        }
        return try assembled(along: last, product)
    }

    /// W `[rows, columns]`, multiplied out.
    package func dense() throws -> Tensor {
        try assembled(along: 0) { patch in
            let region = patch.region.columns
            let part = try patch.weight.dense()
            // Zeros on the left come by way of the mirror image.
            let right = try part.padded([columns - region.upperBound])
            return try right.flipped(1).padded([region.lowerBound]).flipped(1)
        }
    }

    /// Sums patches that write the same rows and joins the sums along `dimension`.
    private func assembled(
        along dimension: Int, _ part: (Patch) throws -> Tensor
    ) throws -> Tensor {
        if let bands {
            let sums = try bands.map { band in
                try band.dropFirst().reduce(part(band[0])) { try $0 + part($1) }
            }
            return sums.count == 1 ? sums[0] : try Tensor.concatenated(sums, along: dimension)
        }
        var sum: Tensor?
        for patch in patches {
            let rows = patch.region.rows
            let values = try part(patch).transposed(dimension, -1)
            let right = try values.padded([self.rows - rows.upperBound])
            let whole = try right.flipped(-1).padded([rows.lowerBound]).flipped(-1)
                .transposed(dimension, -1)
            sum = try sum.map { try $0 + whole } ?? whole
        }
        guard let sum else { preconditionFailure("patches tile the matrix") }
        return sum
    }

    package var parameterCount: Int {
        patches.reduce(0) { $0 + Linear($1.weight).parameterCount }
    }
}
