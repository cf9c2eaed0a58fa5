/// The 50th, 90th and 99th percentile of some numbers, each one of them (nearest rank); 0 of none.
package struct Percentiles: Hashable, Codable, Sendable {
    package let p50: Double
    package let p90: Double
    package let p99: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        func percentile(_ share: Int) -> Double {
            sorted.isEmpty ? 0 : sorted[(share * sorted.count + 99) / 100 - 1]
        }
        (p50, p90, p99) = (percentile(50), percentile(90), percentile(99))
    }
}
