/// Numbers about numbers.
enum Statistics {
    /// Spearman's rank correlation: Pearson's of the ranks, where equal values share the mean of
    /// their ranks.
    /// - Returns: `nil` for fewer than two pairs, or where one side is constant.
    static func spearman(_ pairs: [(Double, Double)]) -> Double? {
        guard pairs.count > 1 else { return nil }
        let (x, y) = (ranks(pairs.map(\.0)), ranks(pairs.map(\.1)))
        let mean = Double(pairs.count + 1) / 2
        var (xy, xx, yy) = (0.0, 0.0, 0.0)
        for (a, b) in zip(x, y) {
            xy += (a - mean) * (b - mean)
            xx += (a - mean) * (a - mean)
            yy += (b - mean) * (b - mean)
        }
        guard xx > 0, yy > 0 else { return nil }
        return xy / (xx * yy).squareRoot()
    }

    /// From 1 for the smallest; equal values share the mean of their ranks.
    static func ranks(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { (values[$0], $0) < (values[$1], $1) }
        var ranks = [Double](repeating: 0, count: values.count)
        var start = 0
        while start < order.count {
            var end = start
            while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
            for place in start..<end { ranks[order[place]] = Double(start + end + 1) / 2 }
            start = end
        }
        return ranks
    }

    /// - Returns: `nil` where there is no value.
    static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
