/// Counts of observations up to each bound, as Prometheus has them.
struct Histogram {
    /// Ascending.
    let bounds: [Double]
    /// Observations in each bucket, the last beyond all bounds.
    private var counts: [Int]
    private var sum = 0.0

    init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    mutating func observe(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }

    /// Lines of the exposition format.
    func write(_ name: String, labels: String, to text: inout String) {
        var total = 0
        for (bound, count) in zip(bounds, counts) {
            total += count
            text += "\(name)_bucket{\(labels),le=\"\(bound)\"} \(total)\n"
        }
        total += counts[bounds.count]
        text += "\(name)_bucket{\(labels),le=\"+Inf\"} \(total)\n"
        text += "\(name)_sum{\(labels)} \(sum)\n\(name)_count{\(labels)} \(total)\n"
    }
}
