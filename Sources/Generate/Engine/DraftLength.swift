// How many tokens to draft. A step with k drafted tokens brings 1 + Σ_{i ≤ k} Π_{j ≤ i} a_j of them on average, with a_j the share
// of drafts whose j-th token was right when all before it were; it takes what computing k + 1 tokens of every sequence takes,
// and drafting them. All of that is measured while text is made, and the k with the most tokens per second is taken: 0, too,
// where many sequences keep the machine busy without drafts.

/// Chooses the length of drafts.
package struct DraftLength: Sendable {
    private let limit: Int
    private let fixed: Int?
    /// Decaying counts by position: drafts that came as far, and those that were right there.
    private var tried: [Double]
    private var right: [Double]
    /// Seconds of a step, and of drafting, by the load and the length: decaying means.
    private var steps: [Load: Double] = [:]
    private var drafting: [Load: Double] = [:]
    /// Steps that `steps` was learnt from.
    private var samples: [Load: Int] = [:]
    /// What came for the first time, and may have compiled something.
    private var metSteps: Set<Load> = []
    private var metDrafting: Set<Load> = []
    /// How often a length was asked for at a load that it is not known of: drafters may have less to say.
    private var asked: [Load: Int] = [:]
    private var count = 0
    /// Choices of nothing since the last of something.
    private var idle = 0

    private struct Load: Hashable {
        /// log₂ of the sequences, rounded up.
        let sequences: Int
        let length: Int
    }

    /// Of the drafts that were counted, those of the past count so much less with each new one.
    private static let decay = 0.98
    /// Every so many steps a neighbour of the best length is tried, so that its time is known and its share of right tokens too.
    private static let exploring = 64
    /// After so many it is tried again where nothing has been wanted for long: what was measured may have been bad luck.
    private static let retrying = 2_048
    /// Steps that a length is known by: of one alone a neighbour on the machine may have made any number.
    private static let enough = 2
    /// So often a length is asked for until it is known: a drafter may have nothing to say, which costs nothing.
    private static let patience = 16

    /// - Parameters:
    ///   - limit: the longest draft.
    ///   - fixed: the length, whatever is measured.
    package init(limit: Int, fixed: Int? = nil) {
        self.limit = limit
        self.fixed = fixed.map { min($0, limit) }
        // As if each position had been right two times of three.
        tried = Array(repeating: 3, count: limit)
        right = Array(repeating: 2, count: limit)
    }

    /// - Parameter accepted: tokens of a draft that were right, from the first on.
    package mutating func learn(drafted: Int, accepted: Int) {
        for place in 0..<min(drafted, limit, accepted + 1) {
            tried[place] = tried[place] * Self.decay + 1
            right[place] = right[place] * Self.decay + (place < accepted ? 1 : 0)
        }
    }

    /// Says what a step of sequences that all decode took.
    /// - Parameter rows: tokens of all of them, drafted ones included.
    package mutating func learn(sequences: Int, rows: Int, seconds: Double) {
        guard sequences > 0 else { return }
        let length = (rows + sequences / 2) / sequences - 1
        let place = Load(sequences: Self.magnitude(sequences), length: length)
        if metSteps.insert(place).inserted { return }
        samples[place, default: 0] += 1
        // Nothing makes a step shorter than it is: of the first few the shortest is the one to believe.
        if samples[place, default: 0] <= Self.enough {
            steps[place] = min(steps[place] ?? seconds, seconds)
        } else {
            Self.blend(seconds, into: &steps[place])
        }
    }

    /// Says what drafting `drafted` tokens of each of `sequences` took.
    package mutating func learn(drafted: Int, sequences: Int, seconds: Double) {
        guard sequences > 0 else { return }
        let place = Load(sequences: Self.magnitude(sequences), length: drafted)
        if metDrafting.insert(place).inserted { return }
        Self.blend(seconds, into: &drafting[place])
    }

    private static func blend(_ seconds: Double, into mean: inout Double?) {
        // A step that takes many times as long has captured a graph for its very number of sequences, or waited for
        // others: it says little of the next.
        mean = mean.map { min($0 * 0.8 + seconds * 0.2, $0 * 1.25, seconds * 4) } ?? seconds
    }

    private static func magnitude(_ sequences: Int) -> Int {
        Int.bitWidth - (max(1, sequences) - 1).leadingZeroBitCount
    }

    /// Whether a drafter should follow the text although nothing is wanted of it: what it has not seen it cannot guess behind.
    package var isFollowing: Bool { idle < 24 }

    /// Tokens to draft for each of `sequences` sequences in the next step.
    package mutating func wanted(sequences: Int) -> Int {
        let wanted = choice(sequences: sequences)
        idle = wanted == 0 ? idle + 1 : 0
        return wanted
    }

    private mutating func choice(sequences: Int) -> Int {
        if let fixed { return fixed }
        guard limit > 0 else { return 0 }
        count += 1
        let load = Self.magnitude(sequences)
        let best = best(at: load)
        // A longer draft costs more: where many sequences keep the machine busy it is not even tried. Two lengths ahead are,
        // as the cost goes by stairs.
        for length in 0...min(limit, (best ?? -1) + 2) {
            let place = Load(sequences: load, length: length)
            guard samples[place, default: 0] < Self.enough,
                asked[place, default: 0] < Self.patience
            else { continue }
            asked[place, default: 0] += 1
            return length
        }
        if count % Self.exploring == 0, isFollowing {
            let other = (best ?? 0) + [2, -1, 1][count / Self.exploring % 3]
            return min(max(other, 0), limit)
        }
        if count % Self.retrying == 0 { return min(max(best ?? 0, 1), limit) }
        return best ?? 0
    }

    /// The length with the most tokens a second, of those that are known; `nil` where none is.
    private func best(at load: Int) -> Int? {
        var best: (length: Int, rate: Double)?
        var (share, tokens) = (1.0, 1.0)
        for length in 0...limit {
            if length > 0 {
                share *= right[length - 1] / tried[length - 1]
                tokens += share
            }
            let place = Load(sequences: load, length: length)
            guard let seconds = steps[place] else { continue }
            // Where nothing is wanted the drafter follows for a while, and then no longer.
            let rate = tokens / (seconds + (length == 0 ? 0 : drafting[place] ?? 0))
            if best.map({ rate > $0.rate }) ?? true { best = (length, rate) }
        }
        return best?.length
    }
}
