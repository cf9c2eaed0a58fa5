import CCUDA
import Kernels
import Tensors

/// Plans of products with many columns on one GPU, which layers of one shape share, and where parts of their sums meet:
/// one piece of memory for all layers, which follow one another.
final class DeviceGemmPlans {
    private let device: CUDADevice
    private var known: [GemmPlan.Problem: Ready] = [:]
    /// What was handed out stays, as graphs know its address.
    private var pieces: [Tensor] = []

    /// A plan in the GPU's memory.
    struct Ready {
        let plan: GemmPlan
        /// int32 `[blocks, each, 4]`, see `GemmArguments`.
        let units: Tensor
        /// int32, zero between launches.
        let counters: Tensor
    }

    init(on device: CUDADevice) { self.device = device }

    private var place: Device { .cuda(device.ordinal) }

    func plan(_ problem: GemmPlan.Problem) throws -> Ready {
        if let ready = known[problem] { return ready }
        let plan = GemmPlan(problem, multiprocessors: device.multiprocessors)
        let each = plan.units.map(\.count).max() ?? 0
        let values = plan.units.flatMap { units -> [Int32] in
            units.flatMap {
                [
                    Int32($0.part), Int32($0.row), Int32($0.tile | $0.columnBlock << 16),
                    Int32($0.quarter | $0.quarters << 8),
                ]
            } + Array(repeating: 0, count: 4 * (each - units.count))
        }
        let ready = Ready(
            plan: plan, units: try Tensor(values, shape: [plan.units.count, each, 4], on: place),
            counters: try Tensor.zeros([plan.tiles * plan.columnBlocks], .int32, on: place))
        known[problem] = ready
        return ready
    }

    /// - Returns: float32, at least `count` values.
    func partial(_ count: Int) throws -> Tensor {
        if let last = pieces.last, last.shape[0] >= count { return last }
        let made = try Tensor.uninitialized([max(count, 4)], on: place)
        pieces.append(made)
        return made
    }
}
