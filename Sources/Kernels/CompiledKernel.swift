import Artifacts

/// Machine code for one architecture, as `KernelModule` loads it.
package struct CompiledKernel: Sendable {
    package enum Origin: Equatable, Sendable {
        case cache
        case compiled
        /// The cache had a file that is not what was written; it is replaced.
        case compiledForDamaged
        /// Compiled, and again next time: the cache could not keep it.
        case compiledUnkept(CheckpointError)
    }

    /// Of the source.
    package let name: String
    package let architecture: String
    /// An ELF file ("cubin").
    package let image: [UInt8]
    package let origin: Origin
}
