/// CUDA code that is part of the program: `CUDA/NAME.cu`, which includes nothing.
package struct KernelSource: Hashable, Sendable, CustomStringConvertible {
    package let name: String
    package let text: String

    package var description: String { name }

    package init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    private init(_ name: String, embedded bytes: [UInt8]) {
        self.init(name: name, text: String(decoding: bytes, as: UTF8.self))
    }

    /// Sets every element of a vector.
    package static let fill = KernelSource("fill", embedded: PackageResources.fill_cu)

    /// Every source, for the test that compiles them for all architectures.
    package static let all = [fill]
}
