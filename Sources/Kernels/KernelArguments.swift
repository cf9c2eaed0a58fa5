/// The arguments of a kernel, packed as C lays them out: each value at a multiple of its alignment.
///
/// A kernel takes them by position, and as their types say: an `Int` is a C `long long`, an `Int32` an
/// `int`, an address of device memory a `UInt64`. Structs come from C headers, so that both sides agree
/// on their layout.
package struct KernelArguments {
    private var bytes: [UInt8] = []
    private var places: [Int] = []
    /// Bytes of each argument.
    private(set) var sizes: [Int] = []
    private static let alignment = 64

    package init() {}

    package init<each Value: BitwiseCopyable>(_ value: repeat each Value) {
        repeat append(each value)
    }

    package mutating func append<Value: BitwiseCopyable>(_ value: Value) {
        let alignment = MemoryLayout<Value>.alignment
        precondition(alignment <= Self.alignment, "\(Value.self) is aligned to \(alignment) bytes")
        let padding = (alignment - bytes.count % alignment) % alignment
        bytes.append(contentsOf: repeatElement(0, count: padding))
        places.append(bytes.count)
        sizes.append(MemoryLayout<Value>.size)
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// The address of each argument, as a launch takes them; valid during `body`, which is as long as
    /// the driver needs them.
    func withPointers<Result>(
        _ body: (UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> Result
    ) -> Result {
        // One more of both than there are, so that a kernel without arguments has addresses too.
        withUnsafeTemporaryAllocation(byteCount: bytes.count + 1, alignment: Self.alignment) {
            values in
            values.copyBytes(from: bytes)
            return withUnsafeTemporaryAllocation(
                of: UnsafeMutableRawPointer?.self, capacity: places.count + 1
            ) { pointers in
                pointers.initialize(repeating: nil)
                for (index, place) in places.enumerated() {
                    pointers[index] = values.baseAddress.map { $0 + place }
                }
                guard let base = pointers.baseAddress else {
                    preconditionFailure("an allocation of a pointer or more has an address")
                }
                return body(base)
            }
        }
    }
}
