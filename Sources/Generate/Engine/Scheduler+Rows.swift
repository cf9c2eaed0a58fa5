extension Scheduler.Step {
    /// Puts together what two routines make of a step: one of tokens that decode, the other of pieces of prompts.
    /// - Parameters:
    ///   - read: gets pieces of prompts; gives a row for each that predicts.
    ///   - decode: gets items of one token and its draft; gives a row for each token.
    /// - Returns: rows that are predicted behind, in the order of the items.
    func rows<Row>(
        read: ([Scheduler.Item]) throws -> [Row], decode: ([Scheduler.Item]) throws -> [Row]
    ) rethrows -> [Row] {
        let pieces = items.filter { !$0.decodes }
        let decoding = items.filter(\.decodes)
        var found: [RequestID: ArraySlice<Row>] = [:]
        if !pieces.isEmpty {
            for (item, row) in try zip(pieces.filter(\.predicts), read(pieces)) {
                found[item.request] = [row]
            }
        }
        if !decoding.isEmpty {
            var rows = try decode(decoding)[...]
            for item in decoding {
                found[item.request] = rows.prefix(item.tokens.count)
                rows = rows.dropFirst(item.tokens.count)
            }
        }
        return items.filter(\.predicts).flatMap { item in
            guard let rows = found[item.request], rows.count == item.predictedRows else {
                preconditionFailure("\(item.request) was computed")
            }
            return rows
        }
    }
}
