import Tensors
import Testing

@testable import Heal

@Suite("HeadLoss")
struct HeadLossTests {
    /// 600 rows: three pieces on a CPU.
    private let rows = 600
    private let width = 8
    private let vocabulary = 23

    @Test("values and gradients are those of float64 autograd", arguments: [false, true])
    func autograd(hasFactors: Bool) throws {
        let states = try Tensor.normal([rows, width], seed: 1)
        let head = try Tensor.normal([vocabulary, width], seed: 2)
        let (theirs, theirHead) = (
            try Tensor.normal([rows, 5], seed: 3), try Tensor.normal([vocabulary, 5], seed: 4)
        )
        let targets = try Tensor((0..<rows).map { ($0 * 7 + 3) % vocabulary })
        let factors = try Tensor((0..<rows).map { Float($0 % 4 == 0 ? 0 : 0.5) })
        let (a, b) = (0.3, 1.7)
        let found = try HeadLoss(nextToken: a, divergence: b, on: .cpu).evaluate(
            states, head: head, targets: targets, expected: .states(theirs, head: theirHead),
            factors: hasFactors ? factors : nil, wanted: .statesAndHead)

        let h = try states.converted(to: .float64).requiringGradient()
        let e = try head.converted(to: .float64).requiringGradient()
        let weights =
            try hasFactors ? factors.converted(to: .float64) : Tensor.ones([rows], .float64)
        let (nextToken, divergence, gradients) = try withGradients {
            let logQ = try h.linear(e).logSoftmax()
            let logP = try theirs.converted(to: .float64)
                .linear(theirHead.converted(to: .float64)).logSoftmax()
            let first = try -(logQ.gathered(targets.unsqueezed(1), along: 1).squeezed(1)) * weights
            let second = try (logP.exp() * (logP - logQ)).sum(1) * weights
            let loss = try first.sum() * a + second.sum() * b
            return (
                try first.sum().detached().scalar(), try second.sum().detached().scalar(),
                try loss.gradients(for: [h, e])
            )
        }
        let sums = (try found.nextTokenSum.scalar(), try found.divergenceSum.scalar())
        #expect(abs(sums.0 - nextToken) < 1e-5 * nextToken)
        #expect(abs(sums.1 - divergence) < 1e-5 * divergence)
        for (ours, theirs) in zip([found.states, found.head], gradients) {
            let gradient = try #require(ours).converted(to: .float64)
            let distance = try (gradient - theirs).norm().scalar() / theirs.norm().scalar()
            #expect(distance < 1e-5)
        }
    }

    @Test("a student that is its teacher diverges by nothing and learns nothing from it")
    func same() throws {
        let states = try Tensor.normal([rows, width], seed: 1)
        let head = try Tensor.normal([vocabulary, width], seed: 2)
        let found = try HeadLoss(nextToken: 0, divergence: 1, on: .cpu).evaluate(
            states, head: head, targets: Tensor((0..<rows).map { $0 % vocabulary }),
            expected: .states(states, head: head), wanted: .states)
        let divergence = try found.divergenceSum.scalar()
        let gradient = try #require(found.states)
        let largest = try gradient.magnitude().max().scalar()
        #expect(abs(divergence) < 1e-4)
        #expect(largest < 1e-5)
        #expect(found.head == nil)
    }

    @Test("of the likeliest tokens alone: the others as one, gradients as autograd has them")
    func largest() throws {
        let states = try Tensor.normal([rows, width], seed: 1)
        let head = try Tensor.normal([vocabulary, width], seed: 2)
        let targets = try Tensor((0..<rows).map { ($0 * 7 + 3) % vocabulary })
        let full = try Tensor.normal([rows, vocabulary], seed: 3).logSoftmax()
        let (logs, tokens) = try full.largest(4, along: 1)
        let rest = try (-(logs.exp().sum(1)) + 1).log()
        let (a, b) = (0.3, 1.7)
        let found = try HeadLoss(nextToken: a, divergence: b, on: .cpu).evaluate(
            states, head: head, targets: targets,
            expected: .largest(tokens: tokens, logs: logs, rest: rest), wanted: .statesAndHead)
        let h = try states.converted(to: .float64).requiringGradient()
        let e = try head.converted(to: .float64).requiringGradient()
        let (p, r) = (try logs.converted(to: .float64), try rest.converted(to: .float64))
        let (divergence, gradients) = try withGradients {
            let logQ = try h.linear(e).logSoftmax()
            let top = try logQ.gathered(tokens, along: 1)
            let left = try (-(top.exp().sum(1)) + 1).log()
            let second = try ((p.exp() * (p - top)).sum(1) + r.exp() * (r - left)).sum()
            let first = try -(logQ.gathered(targets.unsqueezed(1), along: 1).sum())
            return (
                try second.detached().scalar(),
                try (first * a + second * b).gradients(for: [h, e])
            )
        }
        let sum = try found.divergenceSum.scalar()
        #expect(abs(sum - divergence) < 1e-5 * divergence)
        for (ours, theirs) in zip([found.states, found.head], gradients) {
            let gradient = try #require(ours).converted(to: .float64)
            let distance = try (gradient - theirs).norm().scalar() / theirs.norm().scalar()
            #expect(distance < 1e-5)
        }
    }
}
