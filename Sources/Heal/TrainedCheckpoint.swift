import Artifacts
import Tensors

/// Writes trained weights in the layout of the checkpoint that they came from.
struct TrainedCheckpoint {
    let masters: MasterWeights
    /// Folder whose companion files are copied.
    let companions: String
    /// Contents of others, by name.
    let files: [String: [UInt8]]
    /// The type of every tensor in the file, by name.
    let types: [String: ElementType]
    let shapes: [String: [Int]]

    /// Like `checkpoint`, tensor by tensor.
    init(_ masters: MasterWeights, like checkpoint: Checkpoint) {
        self.masters = masters
        companions = checkpoint.folder
        files = [:]
        let infos = checkpoint.tensorNames.compactMap { checkpoint.info($0) }
        types = Dictionary(
            infos.map { ($0.name, $0.elementType) }, uniquingKeysWith: { first, _ in first })
        shapes = Dictionary(
            infos.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    }

    /// All in one type.
    init(
        _ masters: MasterWeights, in type: ElementType, companions: String,
        files: [String: [UInt8]]
    ) {
        self.masters = masters
        self.companions = companions
        self.files = files
        types = masters.tensors.mapValues { _ in type }
        shapes = masters.tensors.mapValues(\.shape)
    }

    /// Rounds the masters to what the file will hold, so that what is measured is what is written.
    func round() throws {
        try withoutGradients {
            for (name, master) in masters.trained {
                guard let type = types[name], type != .float32 else { continue }
                try master.assign(master.converted(to: type).converted(to: .float32))
            }
        }
    }

    /// - Parameters:
    ///   - report: contents of `heal.json`.
    ///   - original: where tensors that did not train are copied from.
    func write(to path: String, report: [UInt8], original: Checkpoint?) throws {
        let names = masters.tensors.keys.sorted()
        let trained = Set(masters.trained.map(\.name))
        let writer = try CheckpointWriter(
            path, like: companions,
            declaring: names.compactMap { name in
                guard let type = types[name], let shape = shapes[name] else { return nil }
                return TensorInfo(name: name, elementType: type, shape: shape)
            }, manifest: masters.manifest,
            files: files.merging([HealReport.file: report]) { first, _ in first })
        for name in names {
            if let original, !trained.contains(name) {
                try writer.copy(name, from: original)
            } else if let tensor = masters.tensors[name], let type = types[name] {
                try writer.write(
                    tensor.detached().converted(to: type).moved(to: .cpu), named: name)
            }
        }
        try writer.finish()
    }
}
