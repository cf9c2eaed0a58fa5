/// `plan.json`: read with `CompressionPlan.read`, written with `write`.
extension CompressionPlan: JSONArtifact {
    package static let noun = "compression plan"
    package static let largestFile = CompressionManifest.largestFile
}
