import Models
import Tensors

/// How likely the tokens of prompts were. Logits of a whole prompt are gigabytes: they are computed some rows at a time, and
/// all that is kept of a row is a number of its token and of the likeliest.
struct PromptScores {
    private let ends: ModelEnds
    private let mostLogits: Int

    /// - Parameter mostLogits: that are held at once, one row at least: 64 MiB in float32.
    init(_ ends: ModelEnds, mostLogits: Int = 1 << 24) {
        (self.ends, self.mostLogits) = (ends, mostLogits)
    }

    /// - Parameter states: after the final norm, of the items' scored rows in their order, `[rows, hidden]`.
    func scores(
        of items: [Scheduler.Item], _ states: Tensor
    ) throws -> [RequestID: [TokenLogprobs]] {
        var (scores, offset) = ([RequestID: [TokenLogprobs]](), 0)
        for item in items {
            guard let scoring = item.scoring else { continue }
            let rows = offset..<offset + scoring.targets.count
            scores[item.request] = try self.scores(scoring, states.narrowed(0, rows))
            offset = rows.upperBound
        }
        return scores
    }

    private func scores(
        _ scoring: Scheduler.Scoring, _ states: Tensor
    ) throws -> [TokenLogprobs] {
        let most = max(1, mostLogits / ends.head.shape[0])
        return try stride(from: 0, to: scoring.targets.count, by: most).flatMap { start in
            let rows = start..<min(start + most, scoring.targets.count)
            let logits = try ends.project(states.narrowed(0, rows)).converted(to: .float32)
            return try Self.scores(
                scoring.targets[rows].map(Int.init), logits, top: scoring.top)
        }
    }

    /// - Parameter logits: float32 `[targets, vocabulary]`.
    private static func scores(
        _ targets: [Int], _ logits: Tensor, top: Int
    ) throws -> [TokenLogprobs] {
        let normalizers = try logits.logSumExp(1).elements(as: Float.self)
        let places = try Tensor(targets, shape: [targets.count, 1], on: logits.device)
        let chosen = try logits.gathered(places, along: 1).elements(as: Float.self)
        let top = min(top, logits.shape[1])
        var (values, tokens) = ([Float](), [Int]())
        if top > 0 {
            let largest = try logits.largest(top, along: 1)
            values = try largest.values.elements(as: Float.self)
            tokens = try largest.indices.elements(as: Int.self)
        }
        return targets.indices.map { row in
            let normalizer = Double(normalizers[row])
            let entries = (row * top..<(row + 1) * top).map {
                TokenLogprobs.Entry(token: tokens[$0], logprob: Double(values[$0]) - normalizer)
            }
            return TokenLogprobs(
                chosen: .init(token: targets[row], logprob: Double(chosen[row]) - normalizer),
                // Equal ones in the order of their ids.
                top: entries.sorted { ($1.logprob, $0.token) < ($0.logprob, $1.token) })
        }
    }
}

extension TokenLogprobs {
    var isFinite: Bool { chosen.logprob.isFinite && top.allSatisfy(\.logprob.isFinite) }
}
