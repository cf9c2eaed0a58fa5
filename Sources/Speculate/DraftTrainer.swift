// Training of an EAGLE-3 draft with training-time test (Li et al. 2025, arXiv 2503.01840, section 4): the draft is run as it will
// be used, J times in a row, each time on its own output of the time before.
//
// With P_t the target's prediction behind token t and positions p = 0 …, pass j reads the token at p + 1 + j and guesses the one
// behind it, for which P_{p+1+j} is what is to be learnt. Its query looks at the keys of pass 0 up to p and at those of
// passes 1 … j at p itself: those are the tokens that a chain of drafts would have made there.
import Artifacts
import Heal
import Models
import TensorNetworks
import Tensors

package final class DraftTrainer: Learner {
    package let settings: TrainingSettings
    private let options: DraftOptions
    private let target: CausalLanguageModel
    private let template: DraftModel
    private let layers: [Int]
    private let type: ElementType
    /// Of float32 tensors, by the names that the authors give them.
    private var optimizer: MasterOptimizer
    /// 1 where a token of the target can be drafted, float32 `[vocabulary]`.
    private let draftable: Tensor

    /// - Parameters:
    ///   - template: configuration, targets and embedding of the draft; its weights are taken as the start.
    init(
        _ template: DraftModel, of target: CausalLanguageModel, _ options: DraftOptions,
        _ settings: TrainingSettings, with processes: ProcessGroup = ProcessGroup()
    ) throws {
        (self.template, self.target, self.options, self.settings) =
            (template, target, options, settings)
        layers = template.tappedLayers(of: target.configuration.layerCount)
        type = target.ends.embedding.elementType
        let masters: [NamedTensor] = try template.weights.keys.sorted().compactMap { name in
            guard let tensor = template.weights[name] else { return nil }
            return (name, try tensor.to(.float32, tensor.device, copy: true))
        }
        optimizer = try MasterOptimizer(masters, settings, with: processes)
        draftable = try Tensor.zeros(
            [target.configuration.vocabularySize], .float32, on: target.device)
        try draftable.scatter(
            Tensor.ones(template.targets.shape, on: target.device), at: template.targets, along: 0)
    }

    var masters: [NamedTensor] { optimizer.masters }

    // MARK: The target

    /// What the target says of windows of text.
    private struct Lesson {
        /// `[windows, tokens, 3 · hidden]`.
        let features: Tensor
        /// Of every position: ln of the target's probabilities of the draft's tokens, of those alone,
        /// float32 `[windows, tokens, draft's vocabulary]`.
        let logShares: Tensor
        /// The probability of all of those together, `[windows, tokens]`.
        let mass: Tensor
        /// 1 where the likeliest token can be drafted, `[windows, tokens]`.
        let counts: Tensor
        /// The likeliest of the draft's tokens, int64 `[windows, tokens]`.
        let best: Tensor
    }

    private func lesson(_ ids: Tensor) throws -> Lesson {
        try withoutGradients {
            var none: KVCache?
            var x = try target.ends.embed(ids)
            var inputs: [Int: Tensor] = [:]
            for block in target.blocks {
                if layers.contains(block.index) { inputs[block.index] = x }
                x = try block.forward(x, rotary: target.rotary, cache: &none)
            }
            let logits = try target.ends.project(target.ends.normalize(x)).converted(to: .float32)
            let some = try logits.selecting(template.targets, along: 2)
            let likeliest = try logits.argmax(2)
            return Lesson(
                features: try Tensor.concatenated(layers.compactMap { inputs[$0] }, along: -1),
                logShares: try some.logSoftmax(-1),
                mass: try (some.logSumExp(2) - logits.logSumExp(2)).exp(),
                counts: try draftable.selecting(likeliest.reshaped([-1]), along: 0)
                    .reshaped(likeliest.shape), best: try some.argmax(2))
        }
    }

    // MARK: The draft

    /// What came of one pass over some windows: sums over positions, float32 of shape [].
    private struct Pass {
        let loss: Tensor
        /// Σ_v min(p, q), what sampling accepts; 1 where the draft's likeliest token is the target's, what greedy decoding
        /// accepts. Not of what is learnt from.
        var measured: (overlap: Tensor, agreement: Tensor)?
    }

    /// All passes over some windows.
    /// - Parameter weights: in the type that is computed in.
    private func unrolled(
        _ ids: Tensor, _ weights: [String: Tensor], measuring: Bool
    ) throws -> [Pass] {
        let model = DraftModel(
            template.configuration, weights, embedding: template.embedding,
            targets: template.targets, rotary: template.rotary)
        let lesson = try lesson(ids)
        let count = ids.shape[1] - options.passes
        var g = try model.combine(lesson.features.narrowed(1, 0..<count))
        var attention = try UnrolledAttention(
            model.configuration.layer, tokens: count, on: ids.device)
        var right: Tensor?
        return try (0..<options.passes).map { pass in
            let range = 1 + pass..<1 + pass + count
            let output = try model.forward(
                ids.narrowed(1, range), g, angles: model.rotary.angles(at: pass..<pass + count)
            ) { try attention.attend($0, $1, $2) }
            g = output
            let logQ = try model.project(output).converted(to: .float32).logSoftmax(-1)
            let (logP, mass) = (
                try lesson.logShares.narrowed(1, range), try lesson.mass.narrowed(1, range)
            )
            let counted = try lesson.counts.narrowed(1, range)
            func overlap() throws -> Tensor {
                let p = try withoutGradients { try logP.exp() * mass.unsqueezed(2) }
                return try p.minimum(logQ.exp()).sum(2)
            }
            let loss =
                switch options.loss {
                case .divergence: try ((logP - logQ) * logP.exp()).sum(2) * counted
                case .acceptance: try overlap() * -1 + 1
                }
            guard measuring else { return Pass(loss: try loss.sum()) }
            // Of a chain counts what is right as far as it goes.
            var agreement =
                try logQ.argmax(2).equals(lesson.best.narrowed(1, range))
                .converted(to: .float32) * counted
            if let right { agreement = try agreement * right }
            right = agreement
            return Pass(
                loss: try loss.sum(),
                measured: (overlap: try overlap().sum(), agreement: try agreement.sum()))
        }
    }

    // MARK: Learning

    package func step(
        _ batch: BatchSource.Batch, learningRate: Double
    ) throws -> LearningOutcome {
        let device = target.device
        let sums = try (0..<4).map { _ in try Tensor.zeros([], .float32, on: device) }
        let gradients = try masters.map { try Tensor.zeros($0.tensor.shape, .float32, on: device) }
        let share = 1 / Double(max(1, batch.textTargets))
        for input in batch.inputs {
            let leaves = try masters.map {
                ($0.name, try $0.tensor.detached().converted(to: type).requiringGradient())
            }
            let loss = try withGradients { () -> Tensor in
                let passes = try unrolled(
                    input.ids, Dictionary(uniqueKeysWithValues: leaves), measuring: false)
                var (total, factor) = (try passes[0].loss * share, 1.0)
                for pass in passes.dropFirst() {
                    factor *= DraftOptions.decay
                    total = try total + pass.loss * (share * factor)
                }
                return total
            }
            try sums[1].accumulate(loss.detached(), times: Double(batch.textTargets))
            let found = try loss.gradients(for: leaves.map(\.1))
            try withoutGradients {
                for (sum, gradient) in zip(gradients, found) {
                    try sum.accumulate(gradient.converted(to: .float32))
                }
            }
        }
        let all = try optimizer.step(gradients, losses: sums, learningRate: learningRate)
        return LearningOutcome(
            sums: all.losses, norm: all.norm, textTargets: batch.textTargets, answerTargets: 0)
    }

    /// How far drafts are right on text that was not learnt from: the text's own tokens go in, and the target's predictions
    /// behind them are what is right.
    func measure(_ inputs: [Tensor]) throws -> DraftReport.Measurement {
        try withoutGradients {
            let weights = try Dictionary(
                uniqueKeysWithValues: masters.map { ($0.name, try $0.tensor.converted(to: type)) })
            var positions = 0
            var (losses, overlaps, agreements) = (
                [Double](repeating: 0, count: options.passes),
                [Double](repeating: 0, count: options.passes),
                [Double](repeating: 0, count: options.passes)
            )
            for ids in inputs {
                for (index, pass) in try unrolled(ids, weights, measuring: true).enumerated() {
                    losses[index] += try pass.loss.scalar()
                    guard let measured = pass.measured else { continue }
                    overlaps[index] += try measured.overlap.scalar()
                    agreements[index] += try measured.agreement.scalar()
                }
                positions += ids.shape[0] * (ids.shape[1] - options.passes)
            }
            let all = Double(max(1, positions))
            return DraftReport.Measurement(
                positions: positions, loss: losses.map { $0 / all },
                overlap: overlaps.map { $0 / all }, agreement: agreements.map { $0 / all })
        }
    }

    // MARK: Resuming

    package var state: [NamedTensor] { optimizer.state }

    package func resume(after steps: Int, from kept: SafetensorsFile?) throws {
        try optimizer.resume(after: steps, from: kept)
    }
}
