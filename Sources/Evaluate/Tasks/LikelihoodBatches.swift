/// What a model is run on to score continuations: contexts that continuations share are computed once.
///
/// Results are numbered over all questions: the pairs of the first question, then those of the second.
struct LikelihoodBatches {
    /// A sequence of inputs, and the continuations that are scored at its end. Several, where choices differ only
    /// in their last token, which is no input.
    struct Row: Equatable {
        var inputs: [Int]
        var targets: [(result: Int, tokens: [Int])]

        static func == (a: Row, b: Row) -> Bool {
            a.inputs == b.inputs && a.targets.elementsEqual(b.targets) { $0 == $1 }
        }
    }

    struct Batch {
        /// Equally long, possibly empty; each row goes on from one of them.
        var prefixes: [[Int]]
        /// Inputs without their prefix.
        var rows: [(prefix: Int, row: Row)]
    }

    private(set) var batches: [Batch] = []

    /// - Parameters:
    ///   - questions: their pairs; continuations are not empty.
    ///   - context: most inputs that the model takes; contexts that are too long lose their beginning.
    ///   - tokensAtOnce: most positions of a batch.
    init(_ questions: [[PromptEncoder.Pair]], context: Int, tokensAtOnce: Int) {
        var first = 0
        let rows = questions.map { pairs in
            defer { first += pairs.count }
            return Self.rows(pairs, first: first, context: context)
        }
        let all = rows.flatMap { $0 }
        let common = Self.sharedLength(all[...])
        if Self.pays(common, all[...]) {
            append(all.sorted(by: Self.isLonger), prefix: common, tokensAtOnce)
            return
        }
        var alone: [Row] = []
        var sharing: [(length: Int, rows: [Row])] = []
        for rows in rows {
            let length = Self.sharedLength(rows[...])
            if Self.pays(length, rows[...]) {
                sharing.append((length, rows))
            } else {
                alone += rows
            }
        }
        append(alone.sorted(by: Self.isLonger), prefix: 0, tokensAtOnce)
        append(sharing, tokensAtOnce)
    }

    // MARK: Rows

    /// The rows of one question; pairs with equal inputs share one.
    private static func rows(
        _ pairs: [PromptEncoder.Pair], first: Int, context: Int
    ) -> [Row] {
        var rows: [Row] = []
        for (index, pair) in pairs.enumerated() {
            let inputs = Array((pair.context + pair.continuation).suffix(context + 1).dropLast())
            let target = (result: first + index, tokens: pair.continuation)
            if let known = rows.firstIndex(where: { $0.inputs == inputs }) {
                rows[known].targets.append(target)
            } else {
                rows.append(Row(inputs: inputs, targets: [target]))
            }
        }
        return rows
    }

    private static func isLonger(_ a: Row, _ b: Row) -> Bool { a.inputs.count > b.inputs.count }

    /// How many inputs all rows begin with; only inputs whose outputs are not scored.
    private static func sharedLength(_ rows: ArraySlice<Row>) -> Int {
        guard let first = rows.first else { return 0 }
        return rows.reduce(.max) { length, row in
            let scored = row.targets.map(\.tokens.count).max() ?? 0
            let limit = min(length, row.inputs.count - scored)
            let common = zip(row.inputs, first.inputs).prefix { $0 == $1 }.count
            return min(limit, common)
        }
    }

    /// Whether at least a quarter of the work is saved; a prefix takes a pass of its own.
    private static func pays(_ shared: Int, _ rows: ArraySlice<Row>) -> Bool {
        let total = rows.reduce(0) { $0 + $1.inputs.count }
        return rows.count > 1 && 4 * shared * (rows.count - 1) >= total
    }

    // MARK: Batches

    /// Rows that share their first `prefix` inputs, longest first.
    private mutating func append(_ rows: [Row], prefix: Int, _ tokensAtOnce: Int) {
        var rest = rows[...]
        while let longest = rest.first {
            // What a prefix takes for every row is memory, not time.
            let count = max(
                1,
                min(
                    tokensAtOnce / (longest.inputs.count - prefix),
                    4 * tokensAtOnce / longest.inputs.count))
            let shared = Array(longest.inputs.prefix(prefix))
            batches.append(
                Batch(
                    prefixes: [shared],
                    rows: rest.prefix(count).map { (0, Self.dropping(prefix, $0)) }))
            rest = rest.dropFirst(count)
        }
    }

    /// Questions whose rows share a prefix each; those of equally long prefixes are computed together.
    private mutating func append(_ questions: [(length: Int, rows: [Row])], _ tokensAtOnce: Int) {
        func longest(_ rows: [Row]) -> Int { rows.map(\.inputs.count).max() ?? 0 }
        let ordered = questions.sorted {
            ($0.length, longest($0.rows)) > ($1.length, longest($1.rows))
        }
        var pending = Batch(prefixes: [], rows: [])
        var (pendingLength, width) = (0, 0)
        for (length, rows) in ordered {
            let wider = max(width, longest(rows))
            let isFull = (pending.rows.count + rows.count) * wider > tokensAtOnce
            if !pending.rows.isEmpty, isFull || length != pendingLength {
                appendParts(of: pending, tokensAtOnce)
                pending = Batch(prefixes: [], rows: [])
                width = 0
            }
            let prefix = pending.prefixes.count
            pending.rows += rows.map { (prefix, Self.dropping(length, $0)) }
            pending.prefixes.append(Array(rows[0].inputs.prefix(length)))
            (pendingLength, width) = (length, max(width, longest(rows)))
        }
        if !pending.rows.isEmpty { appendParts(of: pending, tokensAtOnce) }
    }

    /// Cuts a batch where its rows become so short that filling them up costs more than another pass.
    private mutating func appendParts(of batch: Batch, _ tokensAtOnce: Int) {
        var part: [(prefix: Int, row: Row)] = []
        for row in batch.rows.sorted(by: { Self.isLonger($0.row, $1.row) }) {
            let width = part.first?.row.inputs.count ?? 0
            let isLarge = width * part.count >= tokensAtOnce / 16
            if isLarge, Double(row.row.inputs.count) < 0.85 * Double(width) {
                batches.append(Batch(prefixes: batch.prefixes, rows: part))
                part = []
            }
            part.append(row)
        }
        batches.append(Batch(prefixes: batch.prefixes, rows: part))
    }

    private static func dropping(_ count: Int, _ row: Row) -> Row {
        Row(inputs: Array(row.inputs.dropFirst(count)), targets: row.targets)
    }
}
