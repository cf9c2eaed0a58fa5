/// libtorch refused an operation.
package struct TensorError: Error, CustomStringConvertible {
    /// The operation's name, as in `matmul`.
    package let operation: String
    /// Shapes of the tensors it was given, in order.
    package let shapes: [[Int]]
    /// libtorch's own message.
    package let message: String

    package var description: String {
        let inputs = shapes.isEmpty ? "" : " of " + shapes.map { "\($0)" }.joined(separator: ", ")
        // libtorch appends its C++ stack after the first line; the user needs the first.
        let reason = message.split(separator: "\n", maxSplits: 1).first.map(String.init) ?? message
        return "\(operation)\(inputs) failed: \(reason)"
    }

    /// Whether the device or host had too little memory.
    package var isOutOfMemory: Bool {
        message.contains("out of memory") || message.contains("can't allocate memory")
    }
}
