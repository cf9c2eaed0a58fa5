import TensorNetworks

extension Checkpoint {
    /// Every stored value; row numbers of pivots are not values.
    package var parameterCount: Int {
        files.flatMap(\.tensors)
            .reduce(0) { $0 + ($1.elementType.isFloatingPoint ? $1.shape.reduce(1, *) : 0) }
    }
}

extension CompressionPlan {
    /// Values that the plan's matrices take.
    package func parameterCount() throws -> Int {
        try matrices.flatMap(\.patches).reduce(0) { sum, patch in
            try sum
                + patch.format.parameterCount(
                    rows: patch.region.rows.count, columns: patch.region.columns.count)
        }
    }
}
