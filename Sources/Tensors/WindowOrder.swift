/// In which order windows come: every pass over them in another one, all of it a function of the seed.
package struct WindowOrder {
    package let count: Int
    package let seed: UInt64
    private var pass: (number: Int, order: [Int])?

    package init(count: Int, seed: UInt64) {
        self.count = count
        self.seed = seed
    }

    /// - Parameter position: windows read before, in all passes.
    package mutating func window(at position: Int) -> Int {
        let number = position / count
        if pass?.number != number { pass = (number, shuffled(number)) }
        return pass?.order[position % count] ?? 0
    }

    /// Fisher–Yates.
    private func shuffled(_ pass: Int) -> [Int] {
        var order = Array(0..<count)
        var random = RandomSource(seed: seed &+ UInt64(pass) &* 0x9E37_79B9_7F4A_7C15)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(random.next() % UInt64(last + 1)))
        }
        return order
    }
}
