import Artifacts
import TensorNetworks
import Tensors

/// AdamW over float32 tensors, the same in all processes: gradients are added up, clipped by their norm and taken in on the
/// device, and what a later step depends on can be kept.
package struct MasterOptimizer {
    package let masters: [NamedTensor]
    private let clip: Double
    private let processes: ProcessGroup
    /// Of matrices and cores, which may decay, and of norms and biases, which never do.
    private var optimizers: [AdamW]
    private let groups: [[Int]]

    package init(
        _ masters: [NamedTensor], _ settings: TrainingSettings, with processes: ProcessGroup
    ) throws {
        (self.masters, clip, self.processes) = (masters, settings.clip, processes)
        let indices = masters.indices
        groups = [
            indices.filter { masters[$0].tensor.shape.count > 1 },
            indices.filter { masters[$0].tensor.shape.count <= 1 },
        ]
        optimizers = try zip(groups, [settings.weightDecay, 0]).map { group, decay in
            try AdamW(
                group.map { masters[$0].tensor }, learningRate: settings.learningRate,
                betas: TrainingSettings.betas, weightDecay: decay)
        }
    }

    /// Here this process' gradients are complete, in the order of `masters`, and here alone those of all processes are
    /// added up, with their losses. Where the gradient is not finite nothing is changed.
    /// - Returns: the losses of all, and the gradient's 2-norm before it was clipped.
    package mutating func step(
        _ mine: [Tensor], losses: [Tensor], learningRate: Double
    ) throws -> (losses: [Tensor], norm: Tensor) {
        let together = try processes.summed(mine + losses)
        let gradients = Array(together.prefix(mine.count))
        let (norm, divisor, skip) = try withoutGradients {
            let norm = try gradients.totalNorm()
            let one = try Tensor.ones([], .float32, on: norm.device)
            return (
                norm, try (norm / clip).maximum(one),
                try norm.finite().logicalNot().converted(to: .float32)
            )
        }
        for (index, group) in groups.enumerated() {
            optimizers[index].learningRate = learningRate
            try optimizers[index].step(
                group.map { gradients[$0] }, dividedBy: divisor, unless: skip)
        }
        return (Array(together.suffix(losses.count)), norm)
    }

    // MARK: Resuming

    /// Everything that a later step depends on, by name: masters and moments.
    package var state: [NamedTensor] {
        masters.map { ("master.\($0.name)", $0.tensor) }
            + zip(groups, optimizers).flatMap { group, optimizer in
                zip(group, zip(optimizer.means, optimizer.squares)).flatMap { index, moments in
                    [
                        ("mean.\(masters[index].name)", moments.0),
                        ("square.\(masters[index].name)", moments.1),
                    ]
                }
            }
    }

    /// Goes on, in all processes, from the state that process 0 has kept after `steps` steps.
    /// - Parameter kept: `nil` in all others.
    package mutating func resume(after steps: Int, from kept: SafetensorsFile?) throws {
        let mine = Dictionary(
            state.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        func tensor(_ name: String) throws -> Tensor {
            if let kept { return try kept.tensor(named: name) }
            guard let tensor = mine[name] else { preconditionFailure("\(name) is of the state") }
            return tensor
        }
        try withoutGradients {
            for (name, master) in masters { try master.assign(tensor("master.\(name)")) }
        }
        for (index, group) in groups.enumerated() {
            let names = group.map { masters[$0].name }
            try optimizers[index].resume(
                after: steps, means: try names.map { try tensor("mean.\($0)") },
                squares: try names.map { try tensor("square.\($0)") })
        }
        try processes.broadcast(state.map(\.tensor))
    }
}
