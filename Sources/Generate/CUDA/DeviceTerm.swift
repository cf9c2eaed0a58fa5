import Kernels
import Models
import TensorNetworks
import Tensors

/// A part of a weight that is a sum: a matrix or a pair, or a network that is contracted tensor by tensor.
indirect enum DeviceTerm {
    case linear(DeviceWeight)
    case chain(ContractionPlan)

    /// The terms of a network; `nil` where one of them has no kernel.
    static func terms(of network: Factorization) throws -> [DeviceTerm]? {
        switch network {
        case .lowRank, .pivotedLowRank:
            let weight = Linear.Weight.network(network)
            return DeviceWeight.formatMultipliedOut(weight) == nil
                ? [.linear(try DeviceWeight(weight))] : nil
        case .tucker, .tensorTrain, .tensorRing:
            return try ContractionPlan(network).map { [.chain($0)] }
        case .pivoted(let pivoted):
            return try terms(of: pivoted.expanded())
        case .blockTerm(let sum):
            return try all(sum.terms.map { .tucker($0) })
        case .mixture(let sum):
            return try all(sum.terms)
        }
    }

    private static func all(_ networks: [Factorization]) throws -> [DeviceTerm]? {
        var found: [DeviceTerm] = []
        for network in networks {
            guard let terms = try terms(of: network) else { return nil }
            found += terms
        }
        return found
    }

    /// Whether a network of this format is a sum of what has kernels, as `terms` would find.
    static func knows(_ format: Format, _ rows: Int, _ columns: Int) -> Bool {
        switch format {
        case .dense: false
        case .lowRank, .pivotedLowRank: DeviceWeight.isPair(format, rows, columns)
        case .tucker, .tensorTrain, .tensorRing, .blockTerm: true
        case .pivoted(let inner): knows(inner, rows, columns)
        case .mixture(let formats): formats.allSatisfy { knows($0, rows, columns) }
        }
    }

    /// Values between the factors of a pair.
    var middleWidth: Int {
        guard case .linear(let weight) = self else { return 0 }
        return weight.middleWidth
    }

    /// bfloat16 values of a sequence between two tensors, at most: behind the first, third, …, and behind the others.
    static func stateWidths(_ terms: some Sequence<DeviceTerm>) -> [Int] {
        terms.reduce(into: [0, 0]) { widths, term in
            guard case .chain(let plan) = term else { return }
            for (index, step) in plan.steps.dropLast().enumerated() {
                widths[index % 2] = max(widths[index % 2], step.outputWidth)
            }
        }
    }

    /// Parts that its product comes in.
    func parts(multiprocessors: Int) -> Int {
        guard case .chain(let plan) = self, let last = plan.steps.last else { return 1 }
        return last.splits(multiprocessors: multiprocessors)
    }
}

extension ContractionPlan.Step {
    /// Parts of the sum, so that every multiprocessor has something to do even for one sequence: the same for any number of
    /// them, whose results do not depend on it then.
    func splits(multiprocessors: Int) -> Int {
        let tiles = ((rows + 63) / 64) * ((columns + 63) / 64)
        let chunks = (terms + 31) / 32
        return max(1, min(128, min(2 * multiprocessors / tiles, chunks / 4)))
    }
}
