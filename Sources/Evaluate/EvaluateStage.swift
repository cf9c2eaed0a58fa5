// checkpoint + text (+ reference checkpoint) → report.
import Artifacts
import Foundation
import Generate
import Models
import Tensors
import Text

package struct EvaluateStage {
    package let model: String
    package var reference: String?
    /// The model of `reference`, where it is loaded already.
    package var referenceModel: ReferenceModel?
    package let texts: [String]
    /// Inputs per window; each predicts the token that follows it.
    package var window = 2_048
    /// How far a window begins behind the one before it; at most `window`.
    package var stride = 2_048
    /// Windows of each text at most; `nil` takes all.
    package var windowLimit: Int?
    package var elementType = ElementType.float32
    package var device = Device.cpu
    /// Decodes windows token by token with keys and values in this type, instead of computing each at once; `stride` is the
    /// window then.
    package var cache: ElementType?
    /// Windows that are decoded side by side.
    private static let decodedWindows = 32

    package init(model: String, texts: [String]) {
        self.model = model
        self.texts = texts
    }

    /// - Parameter progress: called with the text and the number of windows done in it.
    package func run(
        progress: (_ text: String, _ windows: Int, _ note: String) throws -> Void
    ) throws -> EvaluationReport {
        TorchRuntime.keepFreedMemory()
        let (checkpoint, model) = try load(self.model)
        let tokenizer = try Tokenizer(path: self.model)
        let compared = try referenceModel ?? reference.map { ReferenceModel(try load($0).model) }
        if let vocabulary = compared?.model.configuration.vocabularySize,
            vocabulary != model.configuration.vocabularySize
        {
            throw EvaluateError.vocabularies(
                model: model.configuration.vocabularySize, reference: vocabulary)
        }
        let runner = try cache.map { try self.runner(model, cache: $0) }
        var total = WindowScore(hasReference: compared != nil)
        var reports: [EvaluationReport.Text] = []
        var seconds = 0.0
        for text in texts {
            var score = WindowScore(hasReference: compared != nil)
            var windows = TokenWindows(
                try TokenStream(Corpus(path: text), tokenizer), length: window, stride: stride)
            var count = 0
            while count < windowLimit ?? .max, let next = try windows.next() {
                var group = [next.tokens.map(Int.init)]
                while runner != nil, group.count < Self.decodedWindows,
                    count + group.count < windowLimit ?? .max, let next = try windows.next()
                {
                    group.append(next.tokens.map(Int.init))
                }
                let start = Date()
                try withoutGradients {
                    if let runner {
                        try score.add(group, decodedBy: runner, reference: compared)
                    } else {
                        try score.add(
                            group[0], scored: count == 0 ? window : stride, model: model,
                            reference: compared)
                    }
                }
                seconds += Date().timeIntervalSince(start)
                count += group.count
                try progress(text, count, String(format: "perplexity %.3f", score.perplexity))
            }
            guard count > 0 else { throw EvaluateError.tooShort(file: text, window: window) }
            total.add(score)
            reports.append(
                EvaluationReport.Text(
                    file: text, perplexity: score.perplexity, tokens: score.tokens,
                    referencePerplexity: score.referencePerplexity, klMean: score.klMean,
                    top1Agreement: score.top1Agreement))
        }
        return EvaluationReport(
            model: self.model, reference: reference, perplexity: total.perplexity,
            tokens: total.tokens, klMean: total.klMean, top1Agreement: total.top1Agreement,
            parameters: try checkpoint.parameterCount(),
            linearParameters: model.linearParameterCount,
            bytes: checkpoint.byteCount, tokensPerSecond: Double(total.tokens) / seconds,
            peakMemoryBytes: try PeakMemory.bytes(on: device), window: window, stride: stride,
            device: device.description, elementType: elementType.rawValue,
            threads: TorchRuntime.threads, texts: reports)
    }

    /// Loads `folder` for several evaluations with these settings.
    package func loadReference(_ folder: String, keptBytes: Int) throws -> ReferenceModel {
        ReferenceModel(try load(folder).model, keptBytes: keptBytes)
    }

    /// What decodes the windows of a group. A CPU's own routines keep float32: other types are libtorch's there.
    private func runner(
        _ model: CausalLanguageModel, cache: ElementType
    ) throws -> any StepRunner {
        precondition(stride == window, "every token of a decoded window is scored")
        let each = (window + Executor.blockTokens - 1) / Executor.blockTokens
        guard device != .cpu || cache == .float32 else {
            return try ModelRunner(
                model, blocks: Self.decodedWindows * each, blockTokens: Executor.blockTokens,
                as: cache)
        }
        return try Executor(model, cache: cache).runner(blocks: Self.decodedWindows * each)
    }

    private func load(_ folder: String) throws -> (Checkpoint, model: CausalLanguageModel) {
        let configuration = try ModelConfiguration(folder: folder)
        let checkpoint = try Checkpoint(folder)
        return (
            checkpoint,
            try CausalLanguageModel(checkpoint, configuration, as: elementType, on: device)
        )
    }
}

package enum EvaluateError: Error, CustomStringConvertible {
    case tooShort(file: String, window: Int)
    case vocabularies(model: Int, reference: Int)

    package var description: String {
        switch self {
        case .tooShort(let file, let window):
            "\(file): too short for one window of \(window) tokens and the one that follows; pass a smaller --window"
        case .vocabularies(let model, let reference):
            "the model has a vocabulary of \(model) and the reference one of \(reference): they cannot be compared token by token"
        }
    }
}
