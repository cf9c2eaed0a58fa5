extension Scheduler.Step {
    /// Puts together what two routines make of a step: one of single tokens, the other of pieces of prompts.
    /// - Parameters:
    ///   - read: gets pieces of prompts; gives a row for each that predicts.
    ///   - decode: gets items of one token; gives a row for each.
    /// - Returns: rows of the items that predict, in their order.
    func rows<Row>(
        read: ([Scheduler.Item]) throws -> [Row], decode: ([Scheduler.Item]) throws -> [Row]
    ) rethrows -> [Row] {
        let pieces = items.filter { $0.tokens.count > 1 }
        let single = items.filter { $0.tokens.count == 1 }
        var found: [RequestID: Row] = [:]
        if !pieces.isEmpty {
            for (item, row) in try zip(pieces.filter(\.predicts), read(pieces)) {
                found[item.request] = row
            }
        }
        if !single.isEmpty {
            for (item, row) in try zip(single, decode(single)) { found[item.request] = row }
        }
        return items.filter(\.predicts).map { item in
            guard let row = found[item.request] else {
                preconditionFailure("\(item.request) was computed")
            }
            return row
        }
    }
}
