import Tensors

extension FitObjective {
    /// What a fit of one block of Ŵ minimises when the other blocks are what they are: the same norm about
    /// a target that also makes good what they lost, as far as the block's inputs and outputs tell.
    ///
    /// With E = T − Ŵ of the other blocks, the best block D to add to T there solves
    /// G_rr·D·Â_cc = (G·E·Â)_rc.
    /// - Parameter error: E `[rows, columns]`, zero in this block and in those that are not fitted yet;
    ///   `nil` where none is fitted.
    package func patch(
        rows: Range<Int>, columns: Range<Int>, given error: Tensor?
    ) throws -> FitObjective {
        let input = try block(of: self.input, columns, "the patch's input moment")
        let output = try self.output.map { try block(of: $0, rows, "the patch's output moment") }
        var target = try self.target.narrowed(0, rows).narrowed(1, columns).copied()
        if let error {
            var shift = try metric.weighted(error).narrowed(0, rows).narrowed(1, columns)
            shift = try input.solved(shift)
            if let output { shift = try output.solved(shift.transposed()).transposed() }
            target = try target + shift
        }
        return try FitObjective(target: target, input: input, output: output)
    }

    private func block(
        of moment: SecondMoment, _ range: Range<Int>, _ name: String
    ) throws -> SecondMoment {
        // Shrunk already, as a part of the whole.
        try SecondMoment(
            moment.matrix.narrowed(0, range).narrowed(1, range), size: range.count, shrinkage: 0,
            name: name)
    }
}

extension SecondMoment {
    /// x·A⁻¹ for x `[…, size]`, with A in its own scale.
    fileprivate func solved(_ x: Tensor) throws -> Tensor {
        let factor = try factor()
        return try factor.solving(factor.solvingTransposed(x)) / scale
    }
}
