import Artifacts
import Evaluate
import Foundation
import Generate
import Models
import Serve
import Tensors
import Text

/// The model that is served and the dense one that may answer in its place, as they are loaded.
final class ServedModels: EngineLoader, @unchecked Sendable {
    /// What a model is made of. Read by one thread at a time: the main one at first, then the one that loads.
    private struct Part {
        let source: WeightSource
        let configuration: ModelConfiguration
        let size: CacheSize
    }

    private let maker: EngineMaker
    private let tokenizer: Tokenizer
    private let own: Part
    private let dense: Part?
    /// Of the served model, not of its fallback.
    private let shadow: ShadowModel?
    private let note: @Sendable (String) -> Void

    let hasRoomForBoth: Bool
    let contextLength: Int
    /// That either model has room for.
    let cacheTokens: Int

    /// - Parameter fallback: folder of the dense model; `nil` where there is none.
    /// - Throws: where a model has no room, or the fallback is not for the same texts.
    init(
        _ maker: EngineMaker, _ source: WeightSource, _ configuration: ModelConfiguration,
        _ tokenizer: Tokenizer, fallback: String?, shadow: ShadowModel?,
        note: @escaping @Sendable (String) -> Void
    ) throws {
        (self.maker, self.tokenizer, self.shadow, self.note) = (maker, tokenizer, shadow, note)
        own = Part(
            source: source, configuration: configuration,
            size: try maker.size(source, configuration, speculates: true))
        dense = try fallback.map { folder in
            let other = try DenseModel(folder, beside: configuration, tokenizer)
            return Part(
                source: .checkpoint(other.checkpoint), configuration: other.configuration,
                size: try maker.size(
                    .checkpoint(other.checkpoint), other.configuration, speculates: false))
        }
        let parts = [own] + [dense].compactMap { $0 }
        hasRoomForBoth = parts.reduce(0) { $0 + $1.size.bytes } <= maker.room
        contextLength = parts.map(\.configuration.maxPositions).min() ?? 0
        cacheTokens = parts.map(\.size.tokens).min() ?? 0
    }

    func load(_ choice: ModelChoice) throws -> HandedEngine {
        let part: Part
        switch (choice, dense) {
        case (.dense, let dense?): part = dense
        case (.dense, nil): preconditionFailure("a fallback is asked for where there is one")
        case (.compressed, _): part = own
        }
        if !hasRoomForBoth { TorchRuntime.releaseUnusedMemory() }
        let (engine, executor, remark) = try withoutGradients {
            try maker.make(
                part.source, part.configuration, tokenizer, part.size,
                speculates: choice == .compressed)
        }
        for text in [executor.note, remark] { if let text { note(text) } }
        guard let shadow, choice == .compressed else { return HandedEngine(ServedEngine(engine)) }
        shadow.served.put(executor.model)
        return HandedEngine(
            ServedEngine(engine, shadow: shadow.shadow) { shadow.served.put(nil) })
    }
}

/// The checkpoint that a served model was made from.
struct DenseModel {
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration

    /// - Throws: where its texts are not those of the served model: the same ids must mean the same.
    init(_ folder: String, beside served: ModelConfiguration, _ tokenizer: Tokenizer) throws {
        checkpoint = try Checkpoint(folder)
        configuration = try ModelConfiguration(folder: folder)
        try checkpoint.validate(against: configuration)
        guard configuration.vocabularySize == served.vocabularySize else {
            throw OtherTexts(
                folder: folder,
                cause:
                    "its vocabulary has \(configuration.vocabularySize.grouped) ids and the served model's \(served.vocabularySize.grouped)"
            )
        }
        let other = try Tokenizer(path: folder)
        let size = max(other.vocabularySize, tokenizer.vocabularySize)
        if let id = (0..<TokenID(size)).first(where: {
            other.token(for: $0) != tokenizer.token(for: $0)
        }) {
            throw OtherTexts(
                folder: folder,
                cause:
                    "token \(id) is \(other.token(for: id) ?? "none") there and \(tokenizer.token(for: id) ?? "none") in the served model"
            )
        }
    }

    private struct OtherTexts: Error, CustomStringConvertible {
        let folder: String
        let cause: String

        var description: String { "\(folder) cannot stand in for the served model: \(cause)" }
    }
}
