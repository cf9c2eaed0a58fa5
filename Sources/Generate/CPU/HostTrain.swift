import CDecode
import TensorNetworks
import Tensors

/// A train of two cores, W[o₁o₂, i₁i₂] = Σ_s first[o₁, i₁, s] · second[s, o₂, i₂], its cores laid out for two products:
///
///     t[s, i₁, o₂] = Σ_{i₂} x[i₁, i₂] · second[s, i₂, o₂]
///     y[o₁, o₂]   = Σ_{s, i₁} first[o₁, s, i₁] · t[s, i₁, o₂]
struct HostTrain {
    /// `[s · i₂, o₂]`.
    private let second: HostMatrix
    /// `[o₁, s · i₁]`.
    private let first: HostMatrix
    private let outer: Int
    private let inner: Int
    private let bond: Int

    /// `nil` where the train has other than two cores, or pads the matrix.
    init?(_ train: TensorTrain) throws {
        let modes = train.modes
        guard train.cores.count == 2, modes.output.reduce(1, *) == train.rows,
            modes.input.reduce(1, *) == train.columns
        else { return nil }
        (outer, inner) = (modes.input[0], modes.input[1])
        bond = train.cores[1].shape[0]
        // Cores are [bond, output, input, bond].
        first = try HostMatrix(
            train.cores[0].squeezed(0).transposed(1, 2).contiguous(), rows: modes.output[0])
        second = try HostMatrix(
            train.cores[1].squeezed(3).transposed(1, 2).contiguous(), rows: bond * inner)
    }

    func apply(
        _ x: HostLinear.Input, _ y: HostLinear.Output, batch: Int, adds: Bool, _ pool: WorkerPool,
        _ scratch: Scratch
    ) {
        let size = bond * outer * second.columns
        // x, row after row, and what the second core makes of it.
        let memory = scratch.reserve(batch * (size + outer * inner))
        let rows = memory + batch * size
        for row in 0..<batch {
            (rows + row * outer * inner).update(
                from: x.values + row * x.stride, count: outer * inner)
        }
        cd_slices(
            pool.raw, rows, Int64(outer), Int64(inner), second.raw, memory, Int64(batch))
        cd_expand(
            pool.raw, first.raw, memory, Int64(size), y.values, Int64(y.stride),
            Int64(second.columns), Int64(batch), adds)
    }
}
