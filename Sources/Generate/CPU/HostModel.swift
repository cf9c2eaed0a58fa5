import CDecode
import Models
import Tensors

/// A model's weights as the CPU's decode steps read them, and the threads that do. Dense matrices and pairs are read where
/// they are; the cores of trains are laid out anew.
package final class HostModel {
    let model: CausalLanguageModel
    let blocks: [HostBlock]
    let embedding: HostMatrix
    let head: HostMatrix
    let norm: [Float]
    let pool: WorkerPool

    /// - Parameter threads: of the decode steps.
    package init(_ model: CausalLanguageModel, threads: Int = TorchRuntime.threads) throws {
        precondition(model.device == .cpu, "the host runs what the host holds")
        self.model = model
        let ends = model.ends
        blocks = try model.blocks.map {
            try HostBlock($0, model.configuration, widening: ends.embedding.elementType)
        }
        embedding = try HostMatrix(ends.embedding, rows: ends.embedding.shape[0])
        head = try HostMatrix(ends.head, rows: ends.head.shape[0])
        norm = try ends.norm.elements(as: Float.self)
        pool = WorkerPool(threads: threads)
    }

    /// Formats of the model that have no routine of their own here and are contracted by libtorch: right, and slower.
    package var contractedByLibtorch: [String] {
        blocks.reduce(into: Set<String>()) { $0.formUnion($1.contractedByLibtorch) }.sorted()
    }

    /// Calls `read` with bytes that the step's threads have then read, from memory that no cache holds: what they
    /// can read in a second is what a decode step cannot do better than.
    package func readMemory(_ bytes: Int, _ read: (() -> Void) throws -> Void) throws {
        let values = UnsafeMutablePointer<Float>.allocate(capacity: bytes / 4)
        defer { values.deallocate() }
        values.initialize(repeating: 1, count: bytes / 4)
        try read { cd_read(pool.raw, values, Int64(bytes / 4)) }
    }
}
