import Artifacts
import Foundation
import TensorNetworks
import Tensors
import Testing

@testable import Report

/// Small artifacts of an invented model of two blocks.
enum TestData {
    static func source(_ digits: String = "0a") throws -> Fingerprint {
        try #require(Fingerprint(hex: String(repeating: digits, count: 32)))
    }

    static func matrix(
        _ name: String, score: Double = 0.5, measured: Double? = nil
    ) throws -> MatrixSensitivity {
        MatrixSensitivity(
            name: name, rows: 64, columns: 96, elementType: .bfloat16, score: score,
            entropy: 2 + score, spectrum: [0.75, 0.2, 0.05, 0],
            candidates: try [8, 16, 24].map { rank in
                try Candidate(
                    .lowRank(rank: rank), rows: 64, columns: 96, as: .bfloat16,
                    predictedKL: 0.4 / Double(rank),
                    measuredKL: measured.map { $0 / Double(rank) })
            })
    }

    static func map(
        _ names: [String]? = nil, measured: Double? = nil, source digits: String = "0a"
    ) throws -> ReportInputs.Named<SensitivityMap> {
        let names =
            names
            ?? (0..<2).flatMap { block in
                ["self_attn.q_proj", "mlp.up_proj"].map { "model.layers.\(block).\($0)" }
            }
        let matrices = try names.enumerated().map { index, name in
            try matrix(
                name, score: Double(index) / Double(max(1, names.count - 1)), measured: measured)
        }
        return .init(
            SensitivityMap(
                source: try source(digits), settings: ["seed": .integer(7)], matrices: matrices),
            file: "maps/sensitivity.json")
    }

    static func plan(source digits: String = "0a") throws -> ReportInputs.Named<CompressionPlan> {
        let formats: [Format] = [
            .dense, .lowRank(rank: 8), .pivotedLowRank(rank: 9),
            .tensorTrain(.init(output: [8, 8], input: [12, 8]), ranks: [6]),
        ]
        let whole = formats.enumerated().map { index, format in
            MatrixPlan(
                name:
                    "model.layers.\(index / 2).\(index % 2 == 0 ? "self_attn.q_proj" : "mlp.up_proj")",
                rows: 64, columns: 96,
                patches: [PatchPlan(.init(rows: 0..<64, columns: 0..<96), format, as: .bfloat16)])
        }
        let cut = MatrixPlan(
            name: "model.layers.1.mlp.down_proj", rows: 64, columns: 96,
            patches: [0..<32, 32..<64].map { rows in
                PatchPlan(.init(rows: rows, columns: 0..<96), .lowRank(rank: 5), as: .bfloat16)
            })
        return .init(
            CompressionPlan(
                source: try source(digits), settings: ["predicted_kl": .number(0.125)],
                matrices: whole + [cut]), file: "plans/half.json")
    }

    static func compression(
        fingerprint digits: String = "0a"
    ) throws -> ReportInputs.Named<CompressionReport> {
        .init(
            CompressionReport(
                fingerprint: try source(digits), source: "dense", output: "half",
                matrices: [
                    .init(
                        name: "model.layers.0.mlp.up_proj", rows: 64, columns: 96,
                        formats: [.lowRank(rank: 8)], parameters: 1280, relativeError: 0.03)
                ],
                linearParametersBefore: 6144, linearParametersAfter: 1280, bytesBefore: 20_000,
                bytesAfter: 10_000, calibrationTokens: 4096, seconds: 1.5),
            file: "compression.json")
    }

    static func entry(
        _ method: String, keep: Double = 0.5, perplexity: Double = 25, model: String = "toy",
        source digits: String = "0a", texts: [String] = ["valid.txt"]
    ) throws -> ReportInputs.Named<ComparisonEntry> {
        .init(
            ComparisonEntry(
                source: try source(digits), model: model, method: method, keep: keep, settings: [:],
                linearParametersBefore: 1000, linearParametersAfter: Int(keep * 1000),
                bytesBefore: 10_000, bytesAfter: Int(4_000 + keep * 6_000), predictedKL: nil,
                compressSeconds: 3,
                texts: texts.map {
                    .init(
                        file: $0, tokens: 100, densePerplexity: 20, perplexity: perplexity,
                        klMean: 0.2, top1Agreement: 0.75)
                }), file: "compare/\(model)-\(method)-\(keep).json")
    }

    static func inputs(
        map: ReportInputs.Named<SensitivityMap>? = nil,
        plans: [ReportInputs.Named<CompressionPlan>] = [],
        compression: ReportInputs.Named<CompressionReport>? = nil,
        trainings: [ReportInputs.Named<HealReport>] = [],
        evaluation: ReportInputs.Named<RunEvaluation>? = nil,
        drafts: [ReportInputs.Named<DraftReport>] = [],
        speculations: [ReportInputs.Named<[SpeculationEntry]>] = [],
        comparisons: [ReportInputs.Named<ComparisonEntry>] = []
    ) throws -> ReportInputs {
        try ReportInputs(
            sensitivity: map, plans: plans, compression: compression, trainings: trainings,
            evaluation: evaluation, drafts: drafts, speculations: speculations,
            comparisons: comparisons)
    }

    static func curve(_ losses: [Double]) -> [HealReport.Point] {
        losses.enumerated().map { step, loss in
            .init(
                step: step + 1, tokens: 128 * (step + 1), loss: loss, nextToken: 0,
                divergence: loss, hidden: nil, task: nil, learningRate: 1e-3, gradientNorm: 1)
        }
    }

    static func training(source digits: String?) throws -> ReportInputs.Named<HealReport> {
        .init(
            HealReport(
                source: try digits.map { try source($0) }, model: "half", teacher: "dense",
                output: "healed", settings: [:], device: "cpu", computeType: "F32",
                checkpointsBlocks: false, microBatchTokens: 128, trainedParameters: 1280,
                tokens: 256, steps: 2, seconds: 1, tokensPerSecond: 256,
                modelFlopsUtilisation: nil, peakMemoryBytes: 1, overlap: nil, evaluations: [],
                curve: curve([2, 1])), file: "healed/heal.json")
    }

    static func measurement(_ agreement: [Double]) -> DraftReport.Measurement {
        .init(
            positions: 1_234, loss: agreement.map { 2 - $0 }, overlap: agreement,
            agreement: agreement)
    }

    /// - Parameters:
    ///   - target: digits of the model's fingerprint.
    ///   - source: of the dense checkpoint's; `nil`: as of an older file, which does not say.
    static func draft(
        target: String = "0a", source: String? = "0a", output: String = "drafts/guesser",
        before: [Double]? = [0.25, 0.125, 0, 0, 0, 0, 0],
        after: [Double]? = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125],
        losses: [Double] = [9, 7, 5, 4]
    ) throws -> ReportInputs.Named<DraftReport> {
        .init(
            DraftReport(
                target: try self.source(target), source: try source.map { try self.source($0) },
                output: output, settings: ["passes": .integer(7)], device: "cpu",
                parameters: 1_650_000, vocabularySize: 2_048, coverage: 0.875, tokens: 512,
                seconds: 2, tokensPerSecond: 256, before: before.map(measurement),
                after: after.map(measurement), curve: curve(losses)),
            file: "drafts/guesser/draft.json")
    }

    static func speculation(
        batch: Int = 1, shares: [Double] = [0.875, 0.375], plain: Double = 500,
        drafted: Double = 750, sameTexts: Int? = nil
    ) -> SpeculationEntry {
        SpeculationEntry(
            variant: .compressed, keep: 0.648, kv: "f32", batch: batch, context: 128, tokens: 256,
            draftLength: 2, drafted: 228, accepted: 140, acceptanceLength: 2.25,
            acceptedShares: shares, plainTokensPerSecond: plain, tokensPerSecond: drafted,
            ratioToPlain: drafted / plain, sameTexts: sameTexts ?? batch)
    }

    static func speculations(
        _ entries: SpeculationEntry...
    ) -> ReportInputs.Named<[SpeculationEntry]> { .init(entries, file: "bench/decode.json") }

    /// Of a compressed and a healed model, with a task that the healed one alone was given.
    static func evaluation(source digits: String = "0a") throws -> ReportInputs.Named<RunEvaluation>
    {
        func report(_ model: String, perplexity: Double) -> EvaluationReport {
            EvaluationReport(
                model: "run/\(model)", reference: "dense", perplexity: perplexity, tokens: 100,
                klMean: 0.25, top1Agreement: 0.75, parameters: 8000, linearParameters: 1280,
                bytes: 10_000, tokensPerSecond: 10, peakMemoryBytes: 1, window: 64, stride: 64,
                device: "cpu", elementType: "F32", threads: 2,
                texts: [
                    .init(
                        file: "texts/valid.txt", perplexity: perplexity, tokens: 100,
                        referencePerplexity: 20, klMean: 0.25, top1Agreement: 0.75)
                ])
        }
        let task = TaskReport.Task(
            score: TaskScore(
                task: "winogrande", items: 40,
                metrics: ["acc,none": 0.525, "acc_stderr,none": 0.08],
                referenceMetrics: ["acc,none": 0.55, "acc_stderr,none": 0.08],
                agreement: ["acc,none": 0.875]),
            groups: [], subjects: [], file: "tasks/winogrande.jsonl", shots: 0, seconds: 1)
        let tasks = TaskReport(
            model: "run/healed", reference: "dense", device: "cpu", elementType: "F32", threads: 2,
            peakMemoryBytes: 1, tasks: [task])
        return .init(
            RunEvaluation(
                source: try source(digits),
                models: [
                    .init(
                        name: "compressed", perplexity: report("compressed", perplexity: .infinity),
                        tasks: nil),
                    .init(
                        name: "healed", perplexity: report("healed", perplexity: 21), tasks: tasks),
                ]), file: "run/evaluation.json")
    }

    /// Everything that a page can show.
    static func everything() throws -> ReportInputs {
        try inputs(
            map: try map(measured: 0.3), plans: [try plan()], compression: try compression(),
            evaluation: try evaluation(), drafts: [try draft()],
            speculations: [speculations(speculation(), speculation(batch: 8, drafted: 450))],
            comparisons: [
                try entry("minima", keep: 0.5), try entry("minima", keep: 0.8, perplexity: 21),
                try entry("low-rank", keep: 0.5, perplexity: 60),
                try entry("low-rank", keep: 0.8, perplexity: 30),
                try entry("ablation-no-anchor", keep: 0.5, perplexity: 28),
            ])
    }

    static func html(_ inputs: ReportInputs) throws -> String {
        try ReportPage(inputs, version: "1.2.3").html
    }
}
