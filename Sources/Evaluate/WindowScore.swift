import Foundation
import Generate
import Models
import Tensors

/// Sums over predicted tokens, from which the means are taken.
package struct WindowScore {
    package private(set) var tokens = 0
    private var loss = 0.0
    private var referenceLoss = 0.0
    private var divergence = 0.0
    private var agreements = 0
    private let hasReference: Bool

    package init(hasReference: Bool) { self.hasReference = hasReference }

    /// exp of the mean negative log-likelihood.
    package var perplexity: Double { exp(loss / Double(tokens)) }
    /// The reference's.
    package var referencePerplexity: Double? {
        hasReference ? exp(referenceLoss / Double(tokens)) : nil
    }
    /// Mean KL(reference ‖ model), nats per token.
    package var klMean: Double? { hasReference ? divergence / Double(tokens) : nil }
    package var top1Agreement: Double? { hasReference ? Double(agreements) / Double(tokens) : nil }

    package mutating func add(_ other: WindowScore) {
        tokens += other.tokens
        loss += other.loss
        referenceLoss += other.referenceLoss
        divergence += other.divergence
        agreements += other.agreements
    }

    /// Rows of logits held at once: what keeps them in cache and bounds memory for large vocabularies.
    private static let rowsAtOnce = 256

    /// Adds one window.
    /// - Parameters:
    ///   - window: `length + 1` ids: inputs are all but the last, targets all but the first.
    ///   - scored: number of targets that count, the last ones: with a stride below the window's length
    ///     the others were counted by the window before.
    package mutating func add(
        _ window: [Int], scored: Int, model: CausalLanguageModel, reference: ReferenceModel?
    ) throws {
        let length = window.count - 1
        let input = try Tensor(Array(window.dropLast()), shape: [1, length], on: model.device)
        let targets = try Tensor(Array(window.dropFirst()), on: model.device)
        var none: KVCache?
        let hidden = try model.hiddenStates(input, cache: &none).squeezed(0)
        let expected = try reference?.hiddenStates(Array(window.dropLast()))
        for start in stride(from: length - scored, to: length, by: Self.rowsAtOnce) {
            let rows = start..<Swift.min(start + Self.rowsAtOnce, length)
            let logits = try model.ends.project(try hidden.narrowed(0, rows)).converted(
                to: .float32)
            let next = try targets.narrowed(0, rows)
            loss += try Self.loss(logits, next)
            tokens += rows.count
            guard let reference, let expected else { continue }
            let wanted = try reference.model.ends.project(try expected.narrowed(0, rows))
                .converted(to: .float32)
            referenceLoss += try Self.loss(wanted, next)
            try compare(logits, with: wanted)
        }
    }

    /// Adds windows of one length that are decoded side by side, token by token, as the engine decodes: every prediction is
    /// made from keys and values as the runner's cache keeps them.
    /// - Parameter windows: `length + 1` ids each, for as many blocks as the runner has.
    mutating func add(
        _ windows: [[Int]], decodedBy runner: any StepRunner, reference: ReferenceModel?
    ) throws {
        let length = windows[0].count - 1
        let each = (length + runner.blockTokens - 1) / runner.blockTokens
        let expected = try reference.map { reference in
            try windows.map { try reference.hiddenStates(Array($0.dropLast())) }
        }
        for place in 0..<length {
            let items = windows.enumerated().map { index, window in
                Scheduler.Item(
                    request: RequestID(index), tokens: [Int32(window[place])], start: place,
                    blocks: Array(index * each..<index * each + place / runner.blockTokens + 1),
                    predicts: true)
            }
            let logits = try runner.logits(of: .init(items: items, preempted: []))
                .converted(to: .float32)
            let next = try Tensor(windows.map { $0[place + 1] }, on: logits.device)
            loss += try Self.loss(logits, next)
            tokens += windows.count
            guard let reference, let expected else { continue }
            let states = try Tensor.concatenated(
                expected.map { try $0.narrowed(0, place..<place + 1) }, along: 0)
            let wanted = try reference.model.ends.project(states).converted(to: .float32)
            referenceLoss += try Self.loss(wanted, next)
            try compare(logits, with: wanted)
        }
    }

    private static func loss(_ logits: Tensor, _ targets: Tensor) throws -> Double {
        try logits.crossEntropy(targets, mean: false).converted(to: .float64).sum().scalar()
    }

    /// Adds KL(softmax(wanted) ‖ softmax(logits)) and equal arg max of every row.
    private mutating func compare(_ logits: Tensor, with wanted: Tensor) throws {
        divergence += try wanted.logSoftmax().divergence(to: logits.logSoftmax())
        let same = try wanted.argmax(-1).equals(try logits.argmax(-1))
        agreements += Int(try same.converted(to: .int64).sum().scalar())
    }
}
