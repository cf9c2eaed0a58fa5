import Tensors

/// W = output · input.
package struct LowRank: Network {
    /// `[rows, rank]`.
    package let output: Tensor
    /// `[rank, columns]`.
    package let input: Tensor
    package let rows: Int
    package let columns: Int
    package let rank: Int

    package init(output: Tensor, input: Tensor) throws(NetworkError) {
        self.output = output
        self.input = input
        rows = output.shape.first ?? 0
        rank = output.shape.last ?? 0
        columns = input.shape.last ?? 0
        try validateParts()
    }

    package var format: Format { .lowRank(rank: rank) }
    package var parts: [NamedTensor] { [("output", output), ("input", input)] }

    func applied(to x: Tensor) throws -> Tensor {
        try x.linear(input).linear(output)
    }

    func reconstructed() throws -> Tensor {
        try output.matmul(input)
    }
}
