import TensorNetworks

extension Checkpoint {
    /// Every stored value; row numbers of pivots and scales are not values.
    package func parameterCount() throws(ManifestError) -> Int {
        let others = try manifest?.auxiliaryTensorNames() ?? []
        return files.flatMap(\.tensors)
            .reduce(0) {
                $0
                    + (others.contains($1.name) || !$1.elementType.storesWeights
                        ? 0 : $1.shape.reduce(1, *))
            }
    }
}

extension CompressionPlan {
    /// Values that the plan's matrices take; an input factor that several share counts once.
    package func parameterCount() throws -> Int {
        try matrices.flatMap(\.patches).reduce(0) { try $0 + $1.parameterCount() }
    }
}

extension PatchPlan {
    /// Values that are stored with this patch: an input factor that it shares is stored with its leader.
    package func parameterCount() throws(FormatError) -> Int {
        try format.parts(rows: region.rows.count, columns: region.columns.count)
            .filter { sharesInputOf == nil || $0.name != Format.inputPart }
            .reduce(0) { $0 + ($1.isIndex ? 0 : $1.count) }
    }
}
