import Tensors

/// Copies of a cache's blocks in the host's memory.
package final class SpillMemory {
    package let blocks: Int
    private let cache: PagedCache
    /// Of every tensor of the cache, `[blocks, …]`.
    private let copies: [Tensor]
    private let originals: [Tensor]

    /// - Parameter blocks: that there is room for; nothing is allocated for 0.
    package init(of cache: PagedCache, blocks: Int) throws {
        (self.cache, self.blocks) = (cache, blocks)
        originals = blocks == 0 ? [] : cache.tensors
        copies = try originals.map {
            try Tensor.zeros([blocks] + $0.shape.dropFirst(), $0.elementType, on: .cpu)
        }
    }

    /// Copies blocks of the cache to places, of each the one that stands with it.
    package func save(_ blocks: [Int], at places: [Int]) throws {
        guard !blocks.isEmpty else { return }
        for (original, copy) in zip(originals, copies) {
            let found = try original.selecting(indices(blocks, on: original.device), along: 0)
            try copy.assign(found.moved(to: .cpu), at: indices(places, on: .cpu), along: 0)
        }
    }

    /// Copies places back to blocks.
    package func restore(_ blocks: [Int], from places: [Int]) throws {
        guard !blocks.isEmpty else { return }
        for (original, copy) in zip(originals, copies) {
            let found = try copy.selecting(indices(places, on: .cpu), along: 0)
            try original.assign(
                found.moved(to: original.device), at: indices(blocks, on: original.device),
                along: 0)
        }
    }

    private func indices(_ values: [Int], on device: Device) throws -> Tensor {
        try Tensor(values, shape: [values.count], on: device)
    }
}
