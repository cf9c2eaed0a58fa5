/// What was measured: a model as it was trained, or one whose matrices are networks.
package enum ModelVariant: String, Codable, Sendable { case dense, compressed }
