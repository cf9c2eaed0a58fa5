import ArgumentParser
import Artifacts
import TensorNetworks

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a model folder holds, after checking it.",
        discussion: """
            Reads headers only, unless --fingerprint asks for the SHA-256 of all tensors.

              minima inspect Models/tiny
            """)

    @Argument(help: "Folder of the model.", completion: .directory)
    var model: String

    @Flag(help: "Read everything and show the checkpoint's fingerprint.")
    var fingerprint = false

    @OptionGroup var output: OutputOptions

    func run() throws {
        let configuration = try ModelConfiguration(folder: model)
        let checkpoint = try Checkpoint(model)
        try checkpoint.validate(against: configuration)
        let summary = try ModelSummary(
            model: model, configuration, checkpoint,
            fingerprint: fingerprint ? try checkpoint.fingerprint().hex : nil)
        if output.json { try output.printJSON(summary) } else { print(summary.table) }
    }
}

/// What `minima inspect` shows.
private struct ModelSummary: Encodable {
    struct Matrix: Encodable {
        let name: String
        let rows: Int
        let columns: Int
        let formats: [Format]
        let parameters: Int
        let bytes: Int
    }

    let model: String
    let architecture: String
    let layers: Int
    let hidden: Int
    let intermediate: Int
    let heads: Int
    let keyValueHeads: Int
    let headDim: Int
    let vocabulary: Int
    let context: Int
    let tiedEmbeddings: Bool
    let dtypes: [String]
    let parameters: Int
    let linearParameters: Int
    let denseLinearParameters: Int
    let bytes: Int
    let compressedFrom: String?
    let fingerprint: String?
    let matrices: [Matrix]

    init(
        model: String, _ configuration: ModelConfiguration, _ checkpoint: Checkpoint,
        fingerprint: String?
    ) throws {
        self.model = model
        architecture = configuration.architecture.rawValue
        layers = configuration.layerCount
        hidden = configuration.hiddenSize
        intermediate = configuration.intermediateSize
        heads = configuration.headCount
        keyValueHeads = configuration.keyValueHeadCount
        headDim = configuration.headDim
        vocabulary = configuration.vocabularySize
        context = configuration.maxPositions
        tiedEmbeddings = configuration.tiesEmbeddings
        let stored = checkpoint.tensorNames.compactMap { checkpoint.info($0) }
        dtypes = Set(stored.map(\.elementType.rawValue)).sorted()
        let auxiliary = try checkpoint.manifest?.auxiliaryTensorNames() ?? []
        matrices = configuration.linearModules.map { Self.matrix($0, checkpoint, auxiliary) }
        parameters = try checkpoint.parameterCount()
        linearParameters = matrices.reduce(0) { $0 + $1.parameters }
        denseLinearParameters = matrices.reduce(0) { $0 + $1.rows * $1.columns }
        bytes = checkpoint.byteCount
        compressedFrom = checkpoint.manifest?.source.hex
        self.fingerprint = fingerprint
    }

    /// - Parameter auxiliary: tensors that hold no values.
    private static func matrix(
        _ module: LinearModule, _ checkpoint: Checkpoint, _ auxiliary: Set<String>
    ) -> Matrix {
        let compressed = checkpoint.manifest?.matrix(module.name)
        let names =
            compressed.map { $0.patches.flatMap { $0.tensors.values } } ?? [module.weight.name]
        let tensors = names.compactMap { checkpoint.info($0) }
        return Matrix(
            name: module.name, rows: module.rows, columns: module.columns,
            formats: compressed?.patches.map(\.format) ?? [.dense],
            parameters: tensors.reduce(0) {
                $0 + (auxiliary.contains($1.name) ? 0 : $1.shape.reduce(1, *))
            },
            bytes: tensors.reduce(0) { $0 + $1.byteCount })
    }

    var table: String {
        var rows = [
            ("model", model),
            (
                "architecture",
                "\(architecture), \(layers) layers, hidden \(hidden), feed-forward \(intermediate)"
            ),
            (
                "attention",
                "\(heads) heads, \(keyValueHeads) of keys and values, \(headDim) wide; context \(context)"
            ),
            (
                "vocabulary",
                "\(vocabulary.grouped), \(tiedEmbeddings ? "tied to" : "separate from") the head"
            ),
            ("parameters", "\(parameters.grouped), \(linearParameters.grouped) in linear layers"),
            ("stored as", dtypes.joined(separator: ", ")),
            ("bytes", bytes.grouped),
        ]
        if let compressedFrom {
            rows.append(("compressed from", compressedFrom))
            rows.append(
                (
                    "linear layers",
                    "\(linearParameters.grouped) of \(denseLinearParameters.grouped) parameters"
                ))
            for matrix in matrices {
                rows.append(
                    (
                        matrix.name,
                        "\(matrix.rows)×\(matrix.columns)  "
                            + matrix.formats.map(\.summary).joined(separator: " | ")
                            + "  \(matrix.parameters.grouped)"
                    ))
            }
        }
        if let fingerprint { rows.append(("fingerprint", fingerprint)) }
        return rows.aligned
    }
}

extension Format {
    /// Kind, modes and ranks on one line.
    var summary: String {
        switch self {
        case .dense: "dense"
        case .lowRank(let rank): "low rank \(rank)"
        case .pivotedLowRank(let rank): "pivoted low rank \(rank)"
        case .tucker(let modes, let ranks): "Tucker \(modes.summary) ranks \(ranks)"
        case .tensorTrain(let modes, let ranks): "train \(modes.summary) ranks \(ranks)"
        case .tensorRing(let modes, let ranks): "ring \(modes.summary) ranks \(ranks)"
        case .blockTerm(let modes, let ranks, let terms):
            "\(terms) Tucker terms \(modes.summary) ranks \(ranks)"
        case .pivoted(let inner): "pivoted \(inner.summary)"
        case .mixture(let formats): formats.map(\.summary).joined(separator: " + ")
        }
    }
}

extension TensorModes {
    fileprivate var summary: String {
        func product(_ modes: [Int]) -> String { modes.map(String.init).joined(separator: "·") }
        return "\(product(output))×\(product(input))"
    }
}
