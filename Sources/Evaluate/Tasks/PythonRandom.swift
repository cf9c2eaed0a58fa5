// CPython's `random.Random`, as far as few-shot examples are drawn with it: the same seed draws the same
// examples as the reference harness. Mersenne Twister MT19937 (Matsumoto, Nishimura 1998).

struct PythonRandom {
    private var state: [UInt32]
    private var position = 624

    /// `random.Random(seed)` of an integer below 2³².
    init(seed: UInt32) {
        state = [19_650_218]
        for index in 1..<624 {
            let last = state[index - 1]
            state.append(1_812_433_253 &* (last ^ (last >> 30)) &+ UInt32(index))
        }
        // init_by_array with the one-word key [seed].
        var index = 1
        for _ in 0..<624 {
            let last = state[index - 1]
            state[index] = (state[index] ^ ((last ^ (last >> 30)) &* 1_664_525)) &+ seed
            advance(&index)
        }
        for _ in 0..<623 {
            let last = state[index - 1]
            state[index] =
                (state[index] ^ ((last ^ (last >> 30)) &* 1_566_083_941)) &- UInt32(index)
            advance(&index)
        }
        state[0] = 0x8000_0000
    }

    private mutating func advance(_ index: inout Int) {
        index += 1
        guard index == 624 else { return }
        state[0] = state[623]
        index = 1
    }

    private mutating func refill() {
        for index in 0..<624 {
            let y = (state[index] & 0x8000_0000) | (state[(index + 1) % 624] & 0x7FFF_FFFF)
            state[index] =
                state[(index + 397) % 624] ^ (y >> 1) ^ (y & 1 == 1 ? 0x9908_B0DF : 0)
        }
        position = 0
    }

    mutating func next() -> UInt32 {
        if position == 624 { refill() }
        var y = state[position]
        position += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C_5680
        y ^= (y << 15) & 0xEFC6_0000
        return y ^ (y >> 18)
    }

    /// `_randbelow`: uniform over `0..<count`.
    /// - Parameter count: 1 to 2³¹.
    mutating func below(_ count: Int) -> Int {
        let bits = Int.bitWidth - count.leadingZeroBitCount
        while true {
            let draw = Int(next() >> UInt32(32 - bits))
            if draw < count { return draw }
        }
    }

    /// `sample(population, count)` as indices into a population of `size`.
    mutating func sample(_ count: Int, of size: Int) -> [Int] {
        precondition((0...size).contains(count), "a sample is part of its population")
        // CPython's estimate of where a set of the drawn takes less memory than a list of all.
        var limit = 21
        if count > 5 {
            var power = 1
            while power < 3 * count { power *= 4 }
            limit += power
        }
        if size <= limit {
            var pool = Array(0..<size)
            return (0..<count).map { drawn in
                let index = below(size - drawn)
                defer { pool[index] = pool[size - drawn - 1] }
                return pool[index]
            }
        }
        var seen: Set<Int> = []
        return (0..<count).map { _ in
            while true {
                let index = below(size)
                if seen.insert(index).inserted { return index }
            }
        }
    }
}
