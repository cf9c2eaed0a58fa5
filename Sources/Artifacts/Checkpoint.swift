import Glibc
import Tensors

/// A Hugging Face folder: its tensors, in one file or in shards, and how they are compressed.
///
/// Opening it reads and checks every header and the manifest; the data stay on disk until they are
/// used. Whether the tensors fit the model is asked with `validate(against:)`.
package struct Checkpoint: Sendable {
    package static let singleFile = "model.safetensors"
    package static let indexFile = "model.safetensors.index.json"

    package let folder: String
    /// Every tensor's name, in byte order.
    package let tensorNames: [String]
    /// How matrices are compressed; `nil` in a dense checkpoint.
    package let manifest: CompressionManifest?
    /// `minima.json` as it was read.
    let manifestSource: [UInt8]?
    package let files: [SafetensorsFile]
    private let places: [String: Int]

    package init(_ folder: String) throws(CheckpointError) {
        self.folder = folder
        let (single, index) = ("\(folder)/\(Self.singleFile)", "\(folder)/\(Self.indexFile)")
        switch (Self.exists(single), Self.exists(index)) {
        case (false, false):
            guard Self.exists(folder) else {
                throw .unreadable(file: folder, SystemFault(code: ENOENT))
            }
            throw .noTensorFile(folder: folder)
        case (true, false):
            files = [try SafetensorsFile(single)]
        case (let hasSingle, true):
            let shards = try ShardIndex(index)
            if hasSingle, !shards.files.contains(Self.singleFile) {
                throw .twoTensorFiles(
                    folder: folder, single: Self.singleFile, index: Self.indexFile)
            }
            files = try shards.open(in: folder)
        }
        places = try Self.places(in: files)
        tensorNames = places.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }

        let manifestPath = "\(folder)/\(CompressionManifest.file)"
        if Self.exists(manifestPath) {
            let source = try MappedFile.contents(
                manifestPath, limit: CompressionManifest.largestFile)
            manifestSource = source
            manifest = try CompressionManifest(parsing: source, of: manifestPath)
        } else {
            (manifestSource, manifest) = (nil, nil)
        }
        try manifest?.validate(against: info, of: manifestPath)
    }

    /// What the header says of a tensor, or `nil` where there is none of that name.
    package func info(_ name: String) -> TensorInfo? {
        places[name].flatMap { files[$0].info(name) }
    }

    /// The tensor as a view of its mapped file; see `SafetensorsFile.tensor(named:)`.
    package func tensor(named name: String) throws -> Tensor {
        try file(holding: name).tensor(named: name)
    }

    /// Requires that a tensor holds neither NaN nor infinity.
    package func requireFinite(_ name: String) throws(CheckpointError) {
        try file(holding: name).requireFinite(name)
    }

    /// Gives back the memory of a tensor that has been read.
    package func release(_ name: String) throws(CheckpointError) {
        try file(holding: name).release(name)
    }

    /// Bytes of all tensors.
    package var byteCount: Int {
        files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } }
    }

    func file(holding name: String) throws(CheckpointError) -> SafetensorsFile {
        guard let place = places[name] else { throw .missingTensor(name, file: folder) }
        return files[place]
    }

    private static func places(
        in files: [SafetensorsFile]
    ) throws(CheckpointError) -> [String: Int] {
        var places: [String: Int] = [:]
        for (place, file) in files.enumerated() {
            for tensor in file.tensors {
                if let other = places.updateValue(place, forKey: tensor.name) {
                    throw .tensorInTwoShards(tensor.name, files[other].path, file.path)
                }
            }
        }
        return places
    }

    private static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
