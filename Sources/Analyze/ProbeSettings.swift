import Artifacts

/// How probed candidates are fitted, as measurements are keyed by it.
struct ProbeSettings: Codable, Hashable {
    /// Name of the moments, which stands for checkpoint, calibration text and seed of the labels.
    let moments: String
    let shrinkage: Double
    let outputShrinkage: Double

    private enum CodingKeys: String, CodingKey {
        case moments, shrinkage
        case outputShrinkage = "output_shrinkage"
    }
}

/// What the divergence of a probe is taken over.
package struct ProbeText: Hashable, Sendable {
    package let windows: [[Int]]
    package let fingerprint: Fingerprint

    /// Tokens that a probe reads; more lowers the noise of a measurement by the root of their number.
    package static let defaultTokens = 2_048
    /// Longest window: attention to more takes time that more windows use better.
    package static let longestWindow = 1_024

    /// The first windows of the calibration text, cut to a length that suits probes.
    package init(of windows: [[Int]], tokens: Int = defaultTokens) {
        let length = min(windows.first?.count ?? 0, Self.longestWindow, tokens)
        let count = length > 0 ? max(1, tokens / length) : 0
        self.windows = windows.prefix(count).map { Array($0.prefix(length)) }
        var bytes: [UInt8] = []
        for token in self.windows.joined() {
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: token).littleEndian) { bytes += $0 }
        }
        fingerprint = Fingerprint(hashing: [
            Array("minima probe text 1".utf8), Array("\(self.windows.count)".utf8), bytes,
        ])
    }

    package var tokens: Int { windows.reduce(0) { $0 + $1.count } }
}
