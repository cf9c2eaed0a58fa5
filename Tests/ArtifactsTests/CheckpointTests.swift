import Glibc
import TensorNetworks
import Tensors
import Testing

@testable import Artifacts

@Suite("Checkpoint folders")
struct CheckpointTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    func shard(_ name: String, _ tensors: [String]) throws {
        let entries = tensors.enumerated().map {
            RawSafetensors.entry($0.element, "U8", [1], $0.offset, $0.offset + 1)
        }
        try folder.write(
            RawSafetensors.bytes("{\(entries.joined(separator: ","))}", data: tensors.count),
            to: name)
    }

    func index(_ map: [String: String]) throws {
        let value = JSONValue.object(["weight_map": .object(map.mapValues { .string($0) })])
        try folder.write(try StrictJSON.encode(value), to: Checkpoint.indexFile)
    }

    var indexPath: String { folder.file(Checkpoint.indexFile) }

    @Test("in one file and in shards")
    func reads() throws {
        try shard("model.safetensors", ["b", "a"])
        #expect(try Checkpoint(folder.path).tensorNames == ["a", "b"])

        let shards = try TemporaryFolder()
        let tensors = try (0..<7).map { ("t\($0)", try Tensor.normal([5, 3], seed: UInt64($0))) }
        let path = shards.file("sharded")
        let writer = try CheckpointWriter(
            path, like: TestModels.tiny,
            declaring: tensors.map { TensorInfo(name: $0.0, of: $0.1) }, largestShardBytes: 130)
        for (name, tensor) in tensors.reversed() { try writer.write(tensor, named: name) }
        #expect(try shards.names == [".sharded.partial"])
        try writer.finish()
        #expect(try shards.names == ["sharded"])

        let checkpoint = try Checkpoint(path)
        #expect(checkpoint.files.count == 4)
        #expect(checkpoint.byteCount == 7 * 60)
        for (name, tensor) in tensors {
            #expect(
                try checkpoint.tensor(named: name).elements(as: Float.self)
                    == tensor.elements(as: Float.self))
        }
        #expect(throws: CheckpointError.missingTensor("none", file: path)) {
            _ = try checkpoint.tensor(named: "none")
        }
        // What is there is not overwritten.
        #expect(throws: CheckpointError.unwritable(file: path, SystemFault(code: ENOTEMPTY))) {
            _ = try CheckpointWriter(path, like: TestModels.tiny, declaring: [])
        }
    }

    @Test("a folder without tensors, or none at all")
    func empty() throws {
        #expect(throws: CheckpointError.noTensorFile(folder: folder.path)) {
            _ = try Checkpoint(folder.path)
        }
        let none = folder.file("none")
        #expect(throws: CheckpointError.unreadable(file: none, SystemFault(code: ENOENT))) {
            _ = try Checkpoint(none)
        }
    }

    @Test("shards that are missing or do not hold what the index says")
    func wrongShards() throws {
        func fault() -> CheckpointError? {
            do {
                _ = try Checkpoint(folder.path)
                return nil
            } catch {
                return error
            }
        }
        try shard("1.safetensors", ["a", "b"])
        try index(["a": "1.safetensors", "b": "1.safetensors", "c": "2.safetensors"])
        #expect(fault() == .missingShard("2.safetensors", index: indexPath))
        try shard("2.safetensors", ["c", "a"])
        #expect(
            fault()
                == .tensorInTwoShards(
                    "a", folder.file("1.safetensors"), folder.file("2.safetensors")))
        try shard("2.safetensors", ["d"])
        #expect(
            fault()
                == .unlistedTensor("d", file: folder.file("2.safetensors"), index: indexPath))
        try shard("2.safetensors", [])
        #expect(fault() == .missingTensor("c", file: folder.file("2.safetensors")))
        try shard("2.safetensors", ["c"])
        #expect(fault() == nil)
        try shard("model.safetensors", ["a"])
        #expect(
            fault()
                == .twoTensorFiles(
                    folder: folder.path, single: Checkpoint.singleFile,
                    index: Checkpoint.indexFile))
    }

    @Test(
        "an index may not lead out of the folder",
        arguments: ["../x", "/etc/passwd", "a/b", "", ".", "..", "a\u{0}b"])
    func escaping(shard: String) throws {
        try index(["a": shard])
        #expect(throws: CheckpointError.escapingShard(shard, index: indexPath)) {
            _ = try Checkpoint(folder.path)
        }
    }

    @Test(
        "an index that is not one",
        arguments: ["", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{\"a\":1}}"])
    func malformedIndex(text: String) throws {
        try folder.write(text, to: Checkpoint.indexFile)
        #expect(throws: CheckpointError.self) { _ = try Checkpoint(folder.path) }
    }

    @Test("the fingerprint is that of the contents, not of their files")
    func fingerprint() throws {
        let names = ["a", "b", "c"]
        func fingerprint(config: String, _ write: (TemporaryFolder) throws -> Void) throws
            -> Fingerprint
        {
            let folder = try TemporaryFolder()
            try folder.write(config, to: ModelConfiguration.file)
            try write(folder)
            return try Checkpoint(folder.path).fingerprint()
        }
        func single(_ folder: TemporaryFolder, value: Float, name: String = "c") throws {
            let writer = try SafetensorsWriter(
                folder.file("model.safetensors"),
                declaring: try ["a", "b", name].map {
                    TensorInfo(name: $0, of: try Tensor([value]))
                })
            for name in ["a", "b", name] { try writer.write(try Tensor([value]), named: name) }
            try writer.finish()
        }
        let first = try fingerprint(config: "{}") { try single($0, value: 1) }
        let sharded = try fingerprint(config: "{}") { folder in
            for name in names {
                let writer = try SafetensorsWriter(
                    folder.file("\(name).safetensors"),
                    declaring: [TensorInfo(name: name, of: try Tensor([1] as [Float]))],
                    metadata: [:])
                try writer.write(try Tensor([1] as [Float]), named: name)
                try writer.finish()
            }
            let map = Dictionary(
                uniqueKeysWithValues: names.map { ($0, JSONValue.string("\($0).safetensors")) })
            try folder.write(
                try StrictJSON.encode(JSONValue.object(["weight_map": .object(map)])),
                to: Checkpoint.indexFile)
        }
        #expect(first == sharded)
        #expect(first.hex.count == 64)
        #expect(Fingerprint(hex: first.hex) == first)
        #expect(Fingerprint(hex: first.hex.uppercased()) == nil || first.hex.allSatisfy(\.isNumber))
        #expect(try fingerprint(config: "{ }") { try single($0, value: 1) } != first)
        #expect(try fingerprint(config: "{}") { try single($0, value: 2) } != first)
        #expect(try fingerprint(config: "{}") { try single($0, value: 1, name: "d") } != first)
    }
}
