/// An append-only list of byte strings in one block of memory, found by content.
///
/// 150,000 Swift strings would cost an allocation each and a slow hash; this costs three arrays.
struct ByteStrings: Sendable {
    private(set) var bytes: [UInt8] = []
    /// String k is `bytes[ends[k - 1] ..< ends[k]]`.
    private var ends: [UInt32] = []
    /// Open addressing; k + 1 for string k, 0 for a free slot. The size is a power of two.
    private var slots: [UInt32]

    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        ends.reserveCapacity(capacity)
    }

    var count: Int { ends.count }

    @inline(__always)
    func range(_ index: Int) -> Range<Int> {
        Int(index == 0 ? 0 : ends[index - 1])..<Int(ends[index])
    }

    subscript(index: Int) -> ArraySlice<UInt8> { bytes[range(index)] }

    /// The index of the string with these bytes.
    func find(_ text: UnsafeBufferPointer<UInt8>) -> Int? {
        bytes.withUnsafeBufferPointer { stored in
            let mask = slots.count - 1
            var slot = Int(truncatingIfNeeded: ByteHash.hash(text)) & mask
            while slots[slot] != 0 {
                let index = Int(slots[slot]) - 1
                let range = range(index)
                if range.count == text.count,
                    stored[range].elementsEqual(text)
                {
                    return index
                }
                slot = (slot + 1) & mask
            }
            return nil
        }
    }

    func find(_ text: some Collection<UInt8>) -> Int? {
        if let found = text.withContiguousStorageIfAvailable({ find($0) }) { return found }
        return Array(text).withUnsafeBufferPointer { find($0) }
    }

    /// Appends `text`, which must not be present yet, and returns its index.
    @discardableResult
    mutating func append(_ text: [UInt8]) -> Int {
        if (count + 1) * 2 > slots.count { grow() }
        let index = count
        bytes.append(contentsOf: text)
        ends.append(UInt32(bytes.count))
        insert(index)
        return index
    }

    private mutating func insert(_ index: Int) {
        let mask = slots.count - 1
        let hash = bytes.withUnsafeBufferPointer { all in
            ByteHash.hash(UnsafeBufferPointer(rebasing: all[range(index)]))
        }
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt32(index + 1)
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for index in 0..<count { insert(index) }
    }
}

/// A fast hash for short byte strings. Not for adversaries: only speed depends on it.
enum ByteHash {
    static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15

    static func hash(_ text: UnsafeBufferPointer<UInt8>) -> UInt64 {
        let raw = UnsafeRawBufferPointer(text)
        var hash = UInt64(raw.count) &* multiplier
        var offset = 0
        while offset + 8 <= raw.count {
            hash = mix(hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var tail: UInt64 = 0
        while offset < raw.count {
            tail = tail << 8 | UInt64(raw[offset])
            offset += 1
        }
        return mix(hash ^ tail)
    }

    @inline(__always)
    static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: multiplier)
        return product.high ^ product.low
    }
}
