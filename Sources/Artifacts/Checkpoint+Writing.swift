import Foundation

extension CompressionManifest {
    /// Writes `minima.json` into `folder`; equal manifests give equal bytes.
    package func write(to folder: String) throws {
        try AtomicFile.write(encoded(self), to: "\(folder)/\(Self.file)")
    }
}

/// Readable JSON of which equal values have equal bytes.
private func encoded(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return try encoder.encode(value) + Data("\n".utf8)
}

extension ShardIndex {
    /// Writes the index of the shards in `folder`, from what their headers say.
    package static func write(_ shards: [String], in folder: String) throws {
        var map: [String: String] = [:]
        var bytes = 0
        for shard in shards {
            for tensor in try SafetensorsFile("\(folder)/\(shard)").tensors {
                map[tensor.name] = shard
                bytes += tensor.byteCount
            }
        }
        let index = Contents(metadata: ["total_size": bytes], map: map)
        try AtomicFile.write(encoded(index), to: "\(folder)/\(Checkpoint.indexFile)")
    }

    private struct Contents: Encodable {
        let metadata: [String: Int]
        let map: [String: String]

        enum CodingKeys: String, CodingKey {
            case metadata
            case map = "weight_map"
        }
    }
}

extension Checkpoint {
    /// Every stored value; row numbers of pivots are not values.
    package var parameterCount: Int {
        files.flatMap(\.tensors)
            .reduce(0) { $0 + ($1.elementType.isFloatingPoint ? $1.shape.reduce(1, *) : 0) }
    }
}

extension CompressionPlan {
    /// Values that the plan's matrices take.
    package func parameterCount() throws -> Int {
        try matrices.flatMap(\.patches).reduce(0) { sum, patch in
            try sum + patch.format.parameterCount(
                rows: patch.region.rows.count, columns: patch.region.columns.count)
        }
    }
}
