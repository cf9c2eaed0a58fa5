import Glibc

/// `model.safetensors.index.json`: which file of the folder holds each tensor.
struct ShardIndex {
    static let largestFile = 100_000_000

    private let path: String
    /// File name of each tensor.
    private let fileNames: [String: String]

    /// The shards' names, sorted.
    var files: [String] { Set(fileNames.values).sorted() }

    init(_ path: String) throws(CheckpointError) {
        self.path = path
        let bytes = try MappedFile.contents(path, limit: Self.largestFile)
        guard case .object(let members) = try JSONValue(parsing: bytes, of: path),
            case .object(let map)? = members["weight_map"]
        else {
            throw .malformedJSON(file: path, offset: 0, reason: "there is no weight_map")
        }
        var fileNames: [String: String] = [:]
        for (tensor, value) in map {
            guard case .string(let file) = value else {
                throw .malformedJSON(
                    file: path, offset: 0, reason: "the file of '\(tensor)' is not a string")
            }
            guard Self.isPlainName(file) else { throw .escapingShard(file, index: path) }
            fileNames[tensor] = file
        }
        self.fileNames = fileNames
    }

    /// Opens every shard and requires that each holds exactly the tensors that are listed for it.
    func open(in folder: String) throws(CheckpointError) -> [SafetensorsFile] {
        var opened: [SafetensorsFile] = []
        var held: [String: String] = [:]
        for name in files {
            let shard = "\(folder)/\(name)"
            guard access(shard, F_OK) == 0 else { throw .missingShard(name, index: path) }
            let file = try SafetensorsFile(shard)
            for tensor in file.tensors {
                if let other = held.updateValue(name, forKey: tensor.name) {
                    throw .tensorInTwoShards(tensor.name, "\(folder)/\(other)", shard)
                }
                guard fileNames[tensor.name] == name else {
                    throw .unlistedTensor(tensor.name, file: shard, index: path)
                }
            }
            opened.append(file)
        }
        for (tensor, name) in fileNames.sorted(by: { $0.key < $1.key }) where held[tensor] == nil {
            throw .missingTensor(tensor, file: "\(folder)/\(name)")
        }
        return opened
    }

    /// Whether a name stays in the folder: one component, no separator.
    private static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
    }
}
