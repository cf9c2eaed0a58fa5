import Glibc
import Tensors

/// Writes a Hugging Face folder tensor by tensor: shards, index, manifest, and the files that it has
/// in common with the checkpoint that it is made from.
///
/// The folder appears whole, when `finish` returns; until then there is only a hidden one beside it.
package final class CheckpointWriter {
    /// What Hugging Face splits at too, so that each file is easy to move.
    package static let usualShardBytes = 5_000_000_000
    /// Files of a folder that hold no tensors and stay as they are.
    package static let companions = [
        ModelConfiguration.file, ModelConfiguration.generationFile,
        "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
        "chat_template.json", "LICENSE", "NOTICE",
    ]

    private let folder: PendingFolder
    private var shards: [SafetensorsWriter] = []
    private var fileNames: [String] = []
    private var places: [String: Int] = [:]
    private let byteCount: Int

    /// Copies the companions and reserves the disk space of every tensor.
    /// - Parameters:
    ///   - path: a folder that does not exist yet, or is empty.
    ///   - source: the folder whose companions are copied.
    ///   - files: contents of others, by name; they come before a companion of the same name.
    ///   - tensors: of distinct names; each is to be written once.
    package init(
        _ path: String, like source: String, declaring tensors: [TensorInfo],
        manifest: CompressionManifest? = nil, files: [String: [UInt8]] = [:],
        largestShardBytes: Int = CheckpointWriter.usualShardBytes
    ) throws {
        folder = try PendingFolder(for: path)
        byteCount = tensors.reduce(0) { $0 + $1.byteCount }
        for (name, contents) in files {
            try AtomicFile.write(contents, to: "\(folder.temporary)/\(name)")
        }
        for name in Self.companions
        where files[name] == nil && access("\(source)/\(name)", F_OK) == 0 {
            let file = try MappedFile("\(source)/\(name)")
            try AtomicFile.write(file.bytes, to: "\(folder.temporary)/\(name)")
        }
        if let manifest {
            try AtomicFile.write(
                StrictJSON.encode(manifest),
                to: "\(folder.temporary)/\(CompressionManifest.file)")
        }
        let groups = Self.shards(of: tensors, largestShardBytes)
        for (index, group) in groups.enumerated() {
            let name =
                groups.count == 1
                ? Checkpoint.singleFile
                : "model-\(Self.fiveDigits(index + 1))-of-\(Self.fiveDigits(groups.count)).safetensors"
            fileNames.append(name)
            shards.append(
                try SafetensorsWriter("\(folder.temporary)/\(name)", declaring: group))
            for tensor in group { places[tensor.name] = index }
        }
    }

    /// Writes a whole tensor, of the declared type and shape; the order is free.
    package func write(_ tensor: Tensor, named name: String) throws {
        try shard(of: name).write(tensor, named: name)
    }

    /// Writes a whole tensor as the bytes of another file, without reading it into memory.
    package func copy(_ name: String, from checkpoint: Checkpoint) throws(CheckpointError) {
        try copy(name, from: try checkpoint.file(holding: name))
    }

    /// Writes a whole tensor as the bytes of another file, without reading it into memory.
    package func copy(_ name: String, from file: SafetensorsFile) throws(CheckpointError) {
        let shard = shard(of: name)
        var offset = 0
        try file.forEachChunk(of: name) {
            (chunk) throws(CheckpointError) in
            try shard.write(chunk, to: name, at: offset)
            offset += chunk.count
        }
    }

    /// Makes the folder durable under its name. Every declared tensor must have been written.
    package func finish() throws {
        for shard in shards { try shard.finish() }
        if shards.count > 1 {
            let index = JSONValue.object([
                "metadata": .object(["total_size": .integer(byteCount)]),
                "weight_map": .object(places.mapValues { .string(fileNames[$0]) }),
            ])
            try AtomicFile.write(
                StrictJSON.encode(index), to: "\(folder.temporary)/\(Checkpoint.indexFile)")
        }
        try folder.commit()
    }

    private func shard(of name: String) -> SafetensorsWriter {
        guard let place = places[name] else { preconditionFailure("'\(name)' was not declared") }
        return shards[place]
    }

    /// Tensors in the order of their names, cut where a file would grow too long.
    private static func shards(of tensors: [TensorInfo], _ largest: Int) -> [[TensorInfo]] {
        var shards: [[TensorInfo]] = [[]]
        var bytes = 0
        for tensor in tensors.sorted(by: { $0.name < $1.name }) {
            if bytes > 0, bytes + tensor.byteCount > largest {
                shards.append([])
                bytes = 0
            }
            shards[shards.count - 1].append(tensor)
            bytes += tensor.byteCount
        }
        return shards
    }

    private static func fiveDigits(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
