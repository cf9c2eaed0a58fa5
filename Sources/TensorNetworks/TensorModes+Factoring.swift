// How a dimension is cut into modes.
//
// Models' dimensions are products of few primes (5120 = 2¹⁰·5), yet some are not (151,936 = 2⁷·1187),
// and a train whose modes are unbalanced is close to a low-rank matrix with its rank bound lowered.
// So the rule is: the most balanced exact product; where the largest factor of that exceeds four times
// the smallest, the smallest padded size that does better; and tiny sizes are not cut at all.

extension TensorModes {
    /// Largest ratio of the largest factor to the smallest that is worth no padding.
    package static let balanceLimit = 4.0

    /// Modes for a `[rows, columns]` matrix, `count` on each side.
    ///
    /// Output modes descend and input modes ascend, so that the products output[k]·input[k], which
    /// bound a train's ranks and set its cores' sizes, are as even as possible.
    package static func factoring(rows: Int, columns: Int, count: Int = 2) -> TensorModes {
        TensorModes(
            output: factoring(rows, into: count),
            input: factoring(columns, into: count).reversed())
    }

    /// `count` factors, descending, whose product is `size` or slightly more.
    package static func factoring(_ size: Int, into count: Int) -> [Int] {
        precondition(size >= 1 && count >= 1, "cannot cut \(size) into \(count) modes")
        let whole = [size] + Array(repeating: 1, count: count - 1)
        guard count > 1, size >= 4, ![5, 7].contains(size) else { return whole }
        let exact = mostBalanced(size, into: count, atMost: size) ?? whole
        if imbalance(exact) <= balanceLimit { return exact }
        let limit = size + Int(Double(size) * paddingLimit)
        var padded = size
        while padded < limit {
            padded += 1
            if let factors = mostBalanced(padded, into: count, atMost: padded),
                imbalance(factors) <= balanceLimit
            {
                return factors
            }
        }
        return exact
    }

    /// Cuts into two modes a side that a search may try, without repetition; the first is `factoring`.
    ///
    /// What decides is how even the products output[k]·input[k] are, not how each side is cut: on the shipped
    /// model's matrices the first three are within 3% of one another's error, and the last, a short sum of
    /// Kronecker products with 4×4 matrices, has up to twice theirs.
    package static func choices(rows: Int, columns: Int) -> [TensorModes] {
        let even = factoring(rows: rows, columns: columns)
        let (tall, wide) = ((rows + 3) / 4, (columns + 3) / 4)
        let others = [
            TensorModes(output: even.output.reversed(), input: even.input.reversed()),
            TensorModes(output: [tall, 4], input: [4, wide]),
            TensorModes(output: [4, tall], input: [4, wide]),
        ]
        return others.reduce(into: [even]) { choices, modes in
            let isPossible = (try? modes.validate(rows: rows, columns: columns)) != nil
            if isPossible, !choices.contains(modes) { choices.append(modes) }
        }
    }

    private static func imbalance(_ factors: [Int]) -> Double {
        Double(factors.max() ?? 1) / Double(max(1, factors.min() ?? 1))
    }

    /// The descending factors of exactly `size`, none above `bound`, of least imbalance.
    private static func mostBalanced(_ size: Int, into count: Int, atMost bound: Int) -> [Int]? {
        guard count > 1 else { return size <= bound ? [size] : nil }
        var best: [Int]?
        for largest in divisors(of: size) where largest <= bound {
            // The largest of `count` factors is at least their geometric mean.
            guard power(largest, count, reaches: size) else { continue }
            guard let rest = mostBalanced(size / largest, into: count - 1, atMost: largest) else {
                continue
            }
            let factors = [largest] + rest
            if best.map({ imbalance(factors) < imbalance($0) }) ?? true { best = factors }
        }
        return best
    }

    private static func divisors(of size: Int) -> [Int] {
        var (small, large): ([Int], [Int]) = ([], [])
        var divisor = 1
        while divisor * divisor <= size {
            if size % divisor == 0 {
                small.append(divisor)
                if divisor * divisor != size { large.append(size / divisor) }
            }
            divisor += 1
        }
        return small + large.reversed()
    }

    private static func power(_ base: Int, _ exponent: Int, reaches size: Int) -> Bool {
        var product = 1
        for _ in 0..<exponent {
            product *= base
            if product >= size { return true }
        }
        return false
    }
}
