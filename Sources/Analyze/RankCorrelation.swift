/// Spearman's ρ: the correlation of ranks, equal values sharing the mean of theirs.
package enum RankCorrelation {
    /// - Returns: from −1 to 1; `nil` where there are fewer than two values or all of a side are equal.
    package static func spearman(_ a: [Double], _ b: [Double]) -> Double? {
        precondition(a.count == b.count, "ranks are compared pair by pair")
        let (x, y) = (ranks(a), ranks(b))
        let mean = Double(a.count - 1) / 2
        var (xx, yy, xy) = (0.0, 0.0, 0.0)
        for (p, q) in zip(x, y) {
            xx += (p - mean) * (p - mean)
            yy += (q - mean) * (q - mean)
            xy += (p - mean) * (q - mean)
        }
        return xx > 0 && yy > 0 ? xy / (xx * yy).squareRoot() : nil
    }

    private static func ranks(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
            for place in start..<end { ranks[order[place]] = Double(start + end - 1) / 2 }
            start = end
        }
        return ranks
    }
}
