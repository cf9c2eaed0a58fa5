import Artifacts
import Evaluate
import Generate
import Models
import Tensors
import Text

extension AblationStage {
    /// - Parameter texts: what is known already: a draft changes nothing of what is said, token by token.
    func measure(
        _ row: AblationRow, _ models: AblationModels, _ generation: GenerationSpeed,
        source: Fingerprint, settings: [String: JSONValue], texts known: [AblationEntry.Text]?,
        _ tell: Tell
    ) throws -> AblationEntry {
        let folder = try models.checkpoint(of: row)
        let draft = row == .speculation ? try models.draft() : nil
        let texts = try known ?? perplexities(of: folder, row, tell)
        let checkpoint = try Checkpoint(folder)
        let model = try CausalLanguageModel(
            checkpoint, ModelConfiguration(folder: folder), as: elementType, on: device)
        var (parameters, bytes) = (try checkpoint.parameterCount(), checkpoint.byteCount)
        var decoder = GenerationSpeed.Decoder.libtorch
        if row.usesKernels { decoder = .kernels(.none) }
        if let draft {
            let guesses = try Checkpoint(draft)
            parameters += try guesses.parameterCount()
            bytes += guesses.byteCount
            let loaded = try DraftModel(folder: draft, for: model)
            decoder = .kernels(Speculation(.draft(loaded), length: draftLength))
            if let target = loaded.configuration.target,
                try target != checkpoint.fingerprint()
            {
                try tell(
                    .note(
                        "\(draft) was trained for another checkpoint: guesses are wrong more often")
                )
            }
        }
        let generated = try withoutGradients {
            try generation.run(model, try Tokenizer(path: folder), by: decoder) {
                try tell(
                    .step(
                        task: "\(row.rawValue), generate", done: $0,
                        total: generation.groups.count, note: ""))
            }
        }
        if row.usesKernels, draft == nil, let note = generated.note { try tell(.note(note)) }
        return AblationEntry(
            source: source, row: row.rawValue, settings: settings,
            size: .init(
                linearParameters: model.linearParameterCount, parameters: parameters, bytes: bytes),
            speed: .init(
                batch: batch, tokensPerSecond: generated.median, samples: generated.rates,
                acceptanceLength: generated.acceptanceLength,
                text: Fingerprint(hashing: generated.answers.map { Array("\($0)".utf8) })),
            texts: texts)
    }

    /// As the row decodes: by kernels token by token, else every window at once.
    private func perplexities(
        of folder: String, _ row: AblationRow, _ tell: Tell
    ) throws -> [AblationEntry.Text] {
        var stage = EvaluateStage(model: folder, texts: texts)
        (stage.window, stage.stride, stage.windowLimit) = (textWindow, textWindow, textWindows)
        (stage.elementType, stage.device) = (elementType, device)
        if row.usesKernels { stage.cache = Executor.cacheType(elementType, on: device) }
        return try stage.run { text, windows, note in
            try tell(
                .step(
                    task: "\(row.rawValue), \(Self.name(of: text))", done: windows,
                    total: textWindows, note: note))
        }.texts.map {
            AblationEntry.Text(
                file: Self.name(of: $0.file), tokens: $0.tokens, perplexity: $0.perplexity)
        }
    }
}
