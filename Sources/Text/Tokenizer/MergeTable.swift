/// Which neighbouring tokens merge, at what rank, into what: a flat hash table.
///
/// Immutable once a tokenizer is loaded, hence safe to share. Sixteen bytes a slot, at most half full:
/// the probe of a failed look-up, the commonest case, ends in the first cache line.
final class MergeTable: @unchecked Sendable {
    /// Rank in the upper half (lower merges first), id of the merged token in the lower.
    struct Merge {
        let packed: UInt64

        /// Ranks after every other; what a pair that does not merge has.
        static let none = Merge(packed: .max)

        @inline(__always)
        init(packed: UInt64) { self.packed = packed }

        init(rank: UInt32, merged: TokenID) {
            packed = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merged))
        }

        @inline(__always)
        var rank: UInt32 { UInt32(packed >> 32) }
        @inline(__always)
        var merged: TokenID { TokenID(truncatingIfNeeded: packed) }
    }

    private struct Slot {
        var pair: UInt64
        var merge: UInt64
    }

    /// No pair has this key: ids are never negative.
    private static let free = UInt64.max

    private var slots: UnsafeMutablePointer<Slot>
    private var shift: UInt64
    private var size: Int
    private var count = 0

    init(capacity: Int) {
        var bits: UInt64 = 6
        while 1 << bits < capacity * 2 { bits += 1 }
        (shift, size) = (64 - bits, 1 << bits)
        slots = .allocate(capacity: size)
        slots.initialize(repeating: Slot(pair: Self.free, merge: 0), count: size)
    }

    deinit { slots.deallocate() }

    @inline(__always)
    private static func key(_ left: TokenID, _ right: TokenID) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private func home(_ key: UInt64) -> Int {
        Int(((key ^ key >> 29) &* ByteHash.multiplier) >> shift)
    }

    @inline(__always)
    func merge(_ left: TokenID, _ right: TokenID) -> Merge {
        let key = Self.key(left, right)
        var slot = home(key)
        while true {
            let found = slots[slot]
            if found.pair == key { return Merge(packed: found.merge) }
            if found.pair == Self.free { return .none }
            slot = (slot + 1) & (size - 1)
        }
    }

    /// Inserts a merge; a repeated pair takes the later rank, as in the reference.
    func insert(_ left: TokenID, _ right: TokenID, _ merge: Merge) {
        if (count + 1) * 2 > size { grow() }
        let key = Self.key(left, right)
        var slot = home(key)
        while slots[slot].pair != Self.free, slots[slot].pair != key {
            slot = (slot + 1) & (size - 1)
        }
        if slots[slot].pair == Self.free { count += 1 }
        slots[slot] = Slot(pair: key, merge: merge.packed)
    }

    private func grow() {
        let (old, oldSize) = (slots, size)
        (size, shift, count) = (size * 2, shift - 1, 0)
        slots = .allocate(capacity: size)
        slots.initialize(repeating: Slot(pair: Self.free, merge: 0), count: size)
        for index in 0..<oldSize where old[index].pair != Self.free {
            let pair = old[index].pair
            insert(
                TokenID(truncatingIfNeeded: pair >> 32), TokenID(truncatingIfNeeded: pair),
                Merge(packed: old[index].merge))
        }
        old.deallocate()
    }
}
