import CTorch

extension Tensor {
    private func unary(_ name: String, _ op: ct_unary_op) throws(TensorError) -> Tensor {
        try TorchCall.make(name, [self]) { ct_unary(op, $0[0], $1) }
    }

    private func binary(
        _ name: String, _ op: ct_binary_op, _ other: Tensor
    ) throws(TensorError) -> Tensor {
        try TorchCall.make(name, [self, other]) { ct_binary(op, $0[0], $0[1], $1) }
    }

    private func binary(
        _ name: String, _ op: ct_binary_op, _ other: Double
    ) throws(TensorError) -> Tensor {
        try TorchCall.make(name, [self]) { ct_binary_scalar(op, $0[0], other, $1) }
    }

    // MARK: Operators, broadcasting as libtorch does

    package static func + (a: Tensor, b: Tensor) throws(TensorError) -> Tensor {
        try a.binary("add", CT_ADD, b)
    }
    package static func - (a: Tensor, b: Tensor) throws(TensorError) -> Tensor {
        try a.binary("subtract", CT_SUB, b)
    }
    package static func * (a: Tensor, b: Tensor) throws(TensorError) -> Tensor {
        try a.binary("multiply", CT_MUL, b)
    }
    package static func / (a: Tensor, b: Tensor) throws(TensorError) -> Tensor {
        try a.binary("divide", CT_DIV, b)
    }
    package static func + (a: Tensor, b: Double) throws(TensorError) -> Tensor {
        try a.binary("add", CT_ADD, b)
    }
    package static func - (a: Tensor, b: Double) throws(TensorError) -> Tensor {
        try a.binary("subtract", CT_SUB, b)
    }
    package static func * (a: Tensor, b: Double) throws(TensorError) -> Tensor {
        try a.binary("multiply", CT_MUL, b)
    }
    package static func / (a: Tensor, b: Double) throws(TensorError) -> Tensor {
        try a.binary("divide", CT_DIV, b)
    }
    package static prefix func - (a: Tensor) throws(TensorError) -> Tensor {
        try a.unary("negate", CT_NEG)
    }

    // MARK: Functions

    package func magnitude() throws(TensorError) -> Tensor { try unary("magnitude", CT_ABS) }
    package func exp() throws(TensorError) -> Tensor { try unary("exp", CT_EXP) }
    package func log() throws(TensorError) -> Tensor { try unary("log", CT_LOG) }
    package func squareRoot() throws(TensorError) -> Tensor { try unary("squareRoot", CT_SQRT) }
    package func squared() throws(TensorError) -> Tensor { try unary("squared", CT_SQUARE) }
    package func reciprocal() throws(TensorError) -> Tensor {
        try unary("reciprocal", CT_RECIPROCAL)
    }
    package func sin() throws(TensorError) -> Tensor { try unary("sin", CT_SIN) }
    package func cos() throws(TensorError) -> Tensor { try unary("cos", CT_COS) }
    package func tanh() throws(TensorError) -> Tensor { try unary("tanh", CT_TANH) }
    package func sigmoid() throws(TensorError) -> Tensor { try unary("sigmoid", CT_SIGMOID) }
    /// x · sigmoid(x).
    package func silu() throws(TensorError) -> Tensor { try unary("silu", CT_SILU) }
    /// True where an element is neither infinite nor NaN.
    package func finite() throws(TensorError) -> Tensor { try unary("finite", CT_ISFINITE) }
    package func logicalNot() throws(TensorError) -> Tensor {
        try unary("logicalNot", CT_LOGICAL_NOT)
    }
    package func power(_ exponent: Double) throws(TensorError) -> Tensor {
        try binary("power", CT_POW, exponent)
    }
    package func power(_ exponents: Tensor) throws(TensorError) -> Tensor {
        try binary("power", CT_POW, exponents)
    }
    package func maximum(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("maximum", CT_MAXIMUM, other)
    }
    package func minimum(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("minimum", CT_MINIMUM, other)
    }
    package func clamped(_ range: ClosedRange<Double>) throws(TensorError) -> Tensor {
        try TorchCall.make("clamped", [self]) {
            ct_clamp($0[0], range.lowerBound, range.upperBound, $1)
        }
    }

    // MARK: Comparison, to bool

    package func equals(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("equals", CT_EQ, other)
    }
    package func equals(_ value: Double) throws(TensorError) -> Tensor {
        try binary("equals", CT_EQ, value)
    }
    package func less(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("less", CT_LT, other)
    }
    package func less(_ value: Double) throws(TensorError) -> Tensor {
        try binary("less", CT_LT, value)
    }
    package func lessOrEqual(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("lessOrEqual", CT_LE, other)
    }
    package func greater(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("greater", CT_GT, other)
    }
    package func greater(_ value: Double) throws(TensorError) -> Tensor {
        try binary("greater", CT_GT, value)
    }
    package func and(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("and", CT_AND, other)
    }
    package func or(_ other: Tensor) throws(TensorError) -> Tensor {
        try binary("or", CT_OR, other)
    }
    /// `yes` where this, a bool tensor, is true, else `no`.
    package func choosing(_ yes: Tensor, else no: Tensor) throws(TensorError) -> Tensor {
        try TorchCall.make("choosing", [self, yes, no]) { ct_where($0[0], $0[1], $0[2], $1) }
    }
    /// `value` where `mask` is true.
    package func filled(where mask: Tensor, with value: Double) throws(TensorError) -> Tensor {
        try TorchCall.make("filled", [self, mask]) { ct_masked_fill($0[0], $0[1], value, $1) }
    }

    // MARK: In place

    /// Overwrites the elements; the shapes must be equal.
    package func assign(_ source: Tensor) throws(TensorError) {
        try TorchCall.run("assign", [self, source]) { ct_copy_($0[0], $0[1]) }
    }
    package func fill(_ value: Double) throws(TensorError) {
        try TorchCall.run("fill", [self]) { ct_fill_($0[0], value) }
    }
    /// self ← self + factor · other.
    package func accumulate(_ other: Tensor, times factor: Double = 1) throws(TensorError) {
        try TorchCall.run("accumulate", [self, other]) { ct_add_($0[0], $0[1], factor) }
    }
    package func scale(by factor: Double) throws(TensorError) {
        try TorchCall.run("scale", [self]) { ct_mul_($0[0], factor) }
    }
    /// self ← self · factor, which is broadcast.
    package func multiply(by factor: Tensor) throws(TensorError) {
        try TorchCall.run("multiply", [self, factor]) { ct_multiply_($0[0], $0[1]) }
    }
    /// self ← exp(self).
    package func exponentiate() throws(TensorError) {
        try TorchCall.run("exponentiate", [self]) { ct_exp_($0[0]) }
    }
    /// Adds `source` to the elements that `indices`, int64 of its shape, names along `dimension`.
    package func accumulate(
        _ source: Tensor, at indices: Tensor, along dimension: Int
    ) throws(TensorError) {
        try TorchCall.run("accumulate(at:)", [self, indices, source]) {
            ct_scatter_add_($0[0], Int64(dimension), $0[1], $0[2])
        }
    }
    /// Overwrites the elements that `indices`, int64 of the shape of `source`, names along `dimension`.
    package func scatter(
        _ source: Tensor, at indices: Tensor, along dimension: Int
    ) throws(TensorError) {
        try TorchCall.run("scatter", [self, indices, source]) {
            ct_scatter_($0[0], Int64(dimension), $0[1], $0[2])
        }
    }
    /// self ← keep · self + factor · a·b, for matrices.
    package func accumulateProduct(
        _ a: Tensor, _ b: Tensor, times factor: Double = 1, keeping keep: Double = 1
    ) throws(TensorError) {
        try TorchCall.run("accumulateProduct", [self, a, b]) {
            ct_addmm_($0[0], $0[1], $0[2], keep, factor)
        }
    }
    /// Overwrites the slices of `dimension` at `indices`, int64, with those of `source`.
    package func assign(
        _ source: Tensor, at indices: Tensor, along dimension: Int
    ) throws(TensorError) {
        try TorchCall.run("assign(at:)", [self, indices, source]) {
            ct_index_copy_($0[0], Int64(dimension), $0[1], $0[2])
        }
    }
}
