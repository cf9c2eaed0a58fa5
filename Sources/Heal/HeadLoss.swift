// The losses of the output head and their gradients, some rows of logits at a time, without autograd:
//
//     L = Σ_rows [ a · (−ln q_y) + b · Σ_v p_v (ln p_v − ln q_v) ],   q = softmax(h·Eᵀ), p the teacher's
//     ∂L/∂logits = (a + b)·q − a·1_y − b·p
//
// Nothing as large as tokens × vocabulary outlives a piece, and nothing waits for the device.
import Tensors

struct HeadLoss {
    /// a and b.
    let nextToken: Double
    let divergence: Double
    /// Rows of logits held at once.
    let rowsAtOnce: Int

    /// a + b, which the gradients are multiplied by last: where they are as wide as the model, not as its
    /// vocabulary.
    private var scale: Double { nextToken + divergence }

    /// What the teacher predicts.
    enum Expectation {
        /// From its hidden states after the final norm, `[rows, hidden]`, and its head.
        case states(Tensor, head: Tensor)
        /// The likeliest tokens of every row, int64 `[rows, count]`, ln of their probabilities alike, float32,
        /// and ln of all others' together, `[rows]`.
        case largest(tokens: Tensor, logs: Tensor, rest: Tensor)
    }

    struct Result {
        /// ∂L/∂h `[rows, hidden]`, in the type of h.
        let states: Tensor?
        /// ∂L/∂E `[vocabulary, hidden]`, float32, where it was asked for.
        let head: Tensor?
        /// Σ −ln q_y and Σ KL over the rows, times their factors: float32 of shape [].
        let nextTokenSum: Tensor
        let divergenceSum: Tensor
    }

    /// What of the gradients is wanted.
    enum Wanted { case values, states, statesAndHead }

    init(nextToken: Double, divergence: Double, on device: Device) {
        self.nextToken = nextToken
        self.divergence = divergence
        // A CPU's cache against a GPU's launches.
        rowsAtOnce = device == .cpu ? 256 : 4_096
    }

    /// - Parameters:
    ///   - states: h `[rows, hidden]`.
    ///   - head: E `[vocabulary, hidden]`.
    ///   - targets: y, int64 `[rows]`.
    ///   - factors: of every row's share in the loss and its gradient, float32 `[rows]`; `nil`: 1.
    func evaluate(
        _ states: Tensor, head: Tensor, targets: Tensor, expected: Expectation?,
        factors: Tensor? = nil, wanted: Wanted
    ) throws -> Result {
        try withoutGradients {
            let device = states.device
            let (rows, sums) = (
                states.shape[0],
                (
                    try Tensor.zeros([], .float32, on: device),
                    try Tensor.zeros([], .float32, on: device)
                )
            )
            var pieces: [Tensor] = []
            let headGradient =
                wanted == .statesAndHead
                ? try Tensor.zeros(head.shape, .float32, on: device) : nil
            for start in stride(from: 0, to: rows, by: rowsAtOnce) {
                let range = start..<min(start + rowsAtOnce, rows)
                let h = try states.narrowed(0, range)
                let logits = try piece(
                    h, head, targets.narrowed(0, range), expected, range,
                    try factors?.narrowed(0, range), wanted, sums)
                guard let logits else { continue }
                pieces.append(try logits.matmul(head))
                try headGradient?.accumulate(logits.transposed().matmul(h))
            }
            let gradient = wanted == .values ? nil : try Tensor.concatenated(pieces, along: 0)
            try gradient?.scale(by: scale)
            try headGradient?.scale(by: scale)
            return Result(
                states: gradient, head: headGradient, nextTokenSum: sums.0, divergenceSum: sums.1)
        }
    }

    /// Adds the losses of some rows to `sums`.
    /// - Returns: ∂L/∂logits over `scale` in the type of h, where it is wanted.
    private func piece(
        _ h: Tensor, _ head: Tensor, _ targets: Tensor, _ expected: Expectation?,
        _ range: Range<Int>, _ factors: Tensor?, _ wanted: Wanted, _ sums: (Tensor, Tensor)
    ) throws -> Tensor? {
        let logQ = try h.linearInFloat32(head).logSoftmax(-1)
        let places = try targets.unsqueezed(1)
        func add(_ values: Tensor, to sum: Tensor) throws {
            if let factors { try values.multiply(by: factors) }
            try sum.accumulate(values.sum())
        }
        try add(-(logQ.gathered(places, along: 1).squeezed(1)), to: sums.0)
        let gradient: Tensor
        switch expected {
        case .none:
            guard wanted != .values else { return nil }
            try logQ.exponentiate()
            gradient = logQ
        case .states(let theirs, let theirHead):
            let logP = try theirs.narrowed(0, range).linearInFloat32(theirHead).logSoftmax(-1)
            let p = try logP.exp()
            try logP.accumulate(logQ, times: -1)
            try logP.multiply(by: p)
            try add(logP.sum(1), to: sums.1)
            guard wanted != .values else { return nil }
            try logQ.exponentiate()
            if divergence != 0 { try logQ.accumulate(p, times: -divergence / scale) }
            gradient = logQ
        case .largest(let tokens, let logs, let rest):
            let (values, pulled) = try compare(
                logQ, tokens.narrowed(0, range), logs.narrowed(0, range), rest.narrowed(0, range))
            try add(values, to: sums.1)
            gradient = pulled
        }
        guard wanted != .values else { return nil }
        if nextToken != 0 {
            let ones = try Tensor.full(places.shape, -nextToken / scale, .float32, on: h.device)
            try gradient.accumulate(ones, at: places, along: 1)
        }
        if let factors { try gradient.multiply(by: factors.unsqueezed(1)) }
        return try gradient.converted(to: h.elementType)
    }
}

extension HeadLoss {
    /// Divergence where only the likeliest tokens are known: all others count as one, of teacher's mass r and
    /// student's s, and r is taken to be spread over them as the student spreads s. So of each of the likeliest
    /// the gradient is q − p, and of each of the others q · (1 − r/s).
    /// - Parameter logQ: `[rows, vocabulary]`, used up.
    /// - Returns: the divergence of every row, `[rows]`, and q·(a + b)/scale less the teacher's part,
    ///   `[rows, vocabulary]`.
    fileprivate func compare(
        _ logQ: Tensor, _ tokens: Tensor, _ logs: Tensor, _ rest: Tensor
    ) throws -> (values: Tensor, gradient: Tensor) {
        let theirs = try logs.exp()
        let mine = try logQ.gathered(tokens, along: 1)
        try logQ.exponentiate()
        try logQ.scatter(
            try Tensor.zeros(tokens.shape, on: tokens.device), at: tokens, along: 1)
        let left = try logQ.sum(1).clamped(1e-10...1)
        let values =
            try (theirs * (logs - mine)).sum(1) + rest.exp() * (rest - left.log())
        let share = divergence == 0 ? 0 : divergence / scale
        try logQ.multiply(by: (rest.exp() / left * -share + 1).unsqueezed(1))
        try logQ.accumulate(mine.exp() - theirs * share, at: tokens, along: 1)
        return (values, logQ)
    }
}
