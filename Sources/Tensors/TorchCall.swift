// The one place where Swift calls C: it keeps the operands alive for the length of the call, turns a
// status into a typed error, and takes ownership of what the call wrote.
//
// Callers never see a raw handle outside the closure that they pass here, so they cannot free an
// operand too early: in `f((a * b).raw)` ARC would release the product before `f` runs.
import CTorch

/// Owns one libtorch tensor.
final class TensorHandle {
    let raw: OpaquePointer

    init(owning raw: OpaquePointer) { self.raw = raw }

    deinit { ct_free(raw) }
}

enum TorchCall {
    typealias Output = UnsafeMutablePointer<OpaquePointer?>

    /// Runs `call` with the operands' handles.
    static func run(
        _ operation: String, _ operands: [Tensor], _ call: ([OpaquePointer?]) -> Int32
    ) throws(TensorError) {
        let status = withExtendedLifetime(operands) { call(operands.map(\.handle.raw)) }
        guard status == Int32(CT_OK) else {
            throw TensorError(
                operation: operation, shapes: operands.map(\.shape),
                message: String(cString: ct_last_error()))
        }
    }

    /// Runs `call`, which writes `count` new tensors.
    static func make(
        _ operation: String, _ operands: [Tensor], count: Int,
        _ call: ([OpaquePointer?], Output) -> Int32
    ) throws(TensorError) -> [Tensor] {
        var outputs = [OpaquePointer?](repeating: nil, count: count)
        try run(operation, operands) { handles in
            outputs.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return Int32(CT_FAILED) }
                return call(handles, base)
            }
        }
        return outputs.map { raw in
            guard let raw else { preconditionFailure("\(operation) succeeded and wrote no tensor") }
            return Tensor(handle: TensorHandle(owning: raw))
        }
    }

    /// Runs `call`, which writes one new tensor.
    static func make(
        _ operation: String, _ operands: [Tensor], _ call: ([OpaquePointer?], Output) -> Int32
    ) throws(TensorError) -> Tensor {
        var output: OpaquePointer?
        try run(operation, operands) { handles in call(handles, &output) }
        guard let output else { preconditionFailure("\(operation) succeeded and wrote no tensor") }
        return Tensor(handle: TensorHandle(owning: output))
    }

    /// Runs a query that cannot fail on a live tensor.
    static func query(_ operation: String, _ call: () -> Int32) {
        guard call() == Int32(CT_OK) else {
            preconditionFailure("\(operation): \(String(cString: ct_last_error()))")
        }
    }
}

extension Array where Element == Int {
    /// The same numbers as C takes them.
    func withDims<Result>(_ body: (UnsafePointer<Int64>, Int32) -> Result) -> Result {
        let dims = map(Int64.init) + [0]  // never empty, so that the base address exists
        return dims.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("empty dims buffer") }
            return body(base, Int32(count))
        }
    }
}
