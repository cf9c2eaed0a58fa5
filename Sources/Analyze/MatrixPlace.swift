import Artifacts
import Models

/// Where a matrix stands in its model.
package struct MatrixPlace: Codable, Hashable, Sendable {
    package let layer: Int
    package let projection: Projection

    package init(layer: Int, projection: Projection) {
        self.layer = layer
        self.projection = projection
    }

    /// - Parameter name: as in `model.layers.3.mlp.down_proj`.
    /// - Returns: `nil` for a matrix that is no projection of a block.
    package init?(name: String) {
        let parts = name.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "model", parts[1] == "layers",
            let layer = Int(parts[2]), layer >= 0,
            let projection = Projection(rawValue: String(parts[3]))
        else { return nil }
        self.init(layer: layer, projection: projection)
    }
}
