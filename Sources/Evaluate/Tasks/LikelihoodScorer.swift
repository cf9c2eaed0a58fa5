import Models
import Tensors

/// How likely a continuation is.
package struct Likelihood: Equatable, Sendable {
    /// Sum of its tokens' log-probabilities, in nats.
    package var logProbability = 0.0
    /// Whether each of its tokens is the likeliest in its place.
    package var isGreedy = true
}

/// Scores continuations in batches.
struct LikelihoodScorer {
    let model: CausalLanguageModel
    /// Most positions of a batch. On a CPU larger batches fall out of cache; a GPU needs them to be busy.
    var tokensAtOnce: Int

    init(_ model: CausalLanguageModel) {
        self.model = model
        tokensAtOnce = model.device == .cpu ? 4_096 : 16_384
    }

    /// Rows of logits held at once, for large vocabularies.
    private static let rowsAtOnce = 256

    /// - Parameter progress: called with the number of pairs scored so far.
    /// - Returns: one likelihood per pair, question by question.
    func score(
        _ questions: [[PromptEncoder.Pair]], progress: (Int) throws -> Void
    ) throws -> [[Likelihood]] {
        let plan = LikelihoodBatches(
            questions, context: model.configuration.maxPositions, tokensAtOnce: tokensAtOnce)
        var results = Array(
            repeating: Likelihood(), count: questions.reduce(0) { $0 + $1.count })
        var done = 0
        var known: (prefixes: [[Int]], cache: KVCache)?
        for batch in plan.batches {
            try withoutGradients {
                // Batches of the same prefixes follow one another.
                if known?.prefixes != batch.prefixes { known = nil }
                if known == nil, let cache = try prefixCache(batch.prefixes) {
                    known = (batch.prefixes, cache)
                }
                try score(batch, after: known?.cache, into: &results)
            }
            done += batch.rows.reduce(0) { $0 + $1.row.targets.count }
            try progress(done)
        }
        var rest = results[...]
        return questions.map { pairs in
            defer { rest = rest.dropFirst(pairs.count) }
            return Array(rest.prefix(pairs.count))
        }
    }

    /// What the model has seen after the prefixes; nil where they are empty.
    private func prefixCache(_ prefixes: [[Int]]) throws -> KVCache? {
        guard let length = prefixes.first?.count, length > 0 else { return nil }
        var cache: KVCache? = KVCache(layers: model.configuration.layerCount, capacity: length)
        let ids = try Tensor(
            prefixes.flatMap { $0 }, shape: [prefixes.count, length], on: model.device)
        _ = try model.hiddenStates(ids, cache: &cache)
        return cache
    }

    private func score(
        _ batch: LikelihoodBatches.Batch, after prefixes: KVCache?,
        into results: inout [Likelihood]
    ) throws {
        let width = batch.rows.map(\.row.inputs.count).max() ?? 0
        // Behind a row's end anything may stand: nothing before it looks there.
        let ids = batch.rows.flatMap { row in
            row.row.inputs + Array(repeating: 0, count: width - row.row.inputs.count)
        }
        var cache = try prefixes?.selecting(
            try Tensor(batch.rows.map(\.prefix), on: model.device), reserving: width)
        let hidden = try model.hiddenStates(
            try Tensor(ids, shape: [batch.rows.count, width], on: model.device), cache: &cache)
        let positions = try hidden.reshaped([batch.rows.count * width, hidden.shape[2]])

        var wanted: [(position: Int, token: Int, result: Int)] = []
        for (index, row) in batch.rows.enumerated() {
            for target in row.row.targets {
                let first = index * width + row.row.inputs.count - target.tokens.count
                wanted += target.tokens.enumerated().map {
                    (first + $0.offset, $0.element, target.result)
                }
            }
        }
        for start in stride(from: 0, to: wanted.count, by: Self.rowsAtOnce) {
            let rows = wanted[start..<min(start + Self.rowsAtOnce, wanted.count)]
            let selected = try positions.selecting(
                try Tensor(rows.map(\.position), on: model.device), along: 0)
            let logits = try model.ends.project(selected).converted(to: .float32)
            let targets = try Tensor(rows.map(\.token), on: model.device).unsqueezed(1)
            let likelihoods = try logits.logSoftmax().gathered(targets, along: 1)
                .elements(as: Float.self)
            let likeliest = try logits.argmax(-1).elements(as: Int.self)
            for (offset, row) in rows.enumerated() {
                results[row.result].logProbability += Double(likelihoods[offset])
                if likeliest[offset] != row.token { results[row.result].isGreedy = false }
            }
        }
    }
}
