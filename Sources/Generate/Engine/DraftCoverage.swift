/// The positions whose states a draft model's cache has. A draft model that has missed a piece of a text cannot guess behind it.
struct DraftCoverage {
    /// Of each request; `nil` of one that has a gap.
    private var ends: [RequestID: Int?] = [:]

    /// Notes that the states of the first `kept` tokens of an item are computed.
    /// - Parameter isThere: whether what they are computed from is there.
    /// - Returns: whether no position before them is missing.
    mutating func add(_ kept: Int, of item: Scheduler.Item, isThere: Bool) -> Bool {
        guard isThere, isWhole(item) else {
            ends[item.request] = .some(nil)
            return false
        }
        ends[item.request] = item.start + kept
        return true
    }

    mutating func end(_ request: RequestID) { ends[request] = nil }

    /// Whether the states of all positions before the item's are there, as far as the target's are.
    private func isWhole(_ item: Scheduler.Item) -> Bool {
        switch ends[item.request] {
        // What the target finds in its cache was drafted behind by whoever computed it.
        case nil: !item.decodes || item.start == 0
        case .some(nil): false
        case .some(let end?): item.start <= end
        }
    }
}
