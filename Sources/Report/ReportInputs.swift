import Artifacts
import Foundation

/// The artifacts that a report draws, which belong together.
package struct ReportInputs: Sendable {
    /// An artifact and the name of its file, as errors and the page give it.
    package struct Named<Artifact: Sendable>: Sendable {
        package let file: String
        package let artifact: Artifact

        package init(_ artifact: Artifact, file: String) {
            self.file = file
            self.artifact = artifact
        }
    }

    package let sensitivity: Named<SensitivityMap>?
    /// As they were given.
    package let plans: [Named<CompressionPlan>]
    package let compression: Named<CompressionReport>?
    /// As they were given.
    package let trainings: [Named<HealReport>]
    /// Of the models that a run made.
    package let evaluation: Named<RunEvaluation>?
    /// As they were given.
    package let drafts: [Named<DraftReport>]
    /// What drafts brought, as it was given.
    package let speculations: [Named<[SpeculationEntry]>]
    /// By model, method and budget.
    package let comparisons: [Named<ComparisonEntry>]

    /// Requires that there is something to draw and that all of it is of one checkpoint; comparisons
    /// may be of several models, the others' among them.
    package init(
        sensitivity: Named<SensitivityMap>?, plans: [Named<CompressionPlan>],
        compression: Named<CompressionReport>?, trainings: [Named<HealReport>] = [],
        evaluation: Named<RunEvaluation>? = nil, drafts: [Named<DraftReport>] = [],
        speculations: [Named<[SpeculationEntry]>] = [], comparisons: [Named<ComparisonEntry>]
    ) throws(ReportError) {
        self.compression = compression
        self.trainings = trainings
        self.evaluation = evaluation
        self.drafts = drafts
        self.speculations = speculations
        self.sensitivity = sensitivity
        self.plans = plans
        self.comparisons = comparisons.sorted {
            let (a, b) = ($0.artifact, $1.artifact)
            return (a.model, a.method, a.keep, $0.file) < (b.model, b.method, b.keep, $1.file)
        }
        guard
            sensitivity != nil || !plans.isEmpty || compression != nil || !trainings.isEmpty
                || evaluation != nil || !drafts.isEmpty || !speculations.isEmpty
                || !comparisons.isEmpty
        else { throw .noInput }
        if let sensitivity, sensitivity.artifact.matrices.isEmpty {
            throw .noMatrix(file: sensitivity.file)
        }
        for plan in plans where plan.artifact.matrices.isEmpty {
            throw .noMatrix(file: plan.file)
        }
        if let compression, compression.artifact.matrices.isEmpty {
            throw .noMatrix(file: compression.file)
        }
        for entry in comparisons { try Self.requireSense(entry) }
        try requireOneSource()
        try requireDistinctEntries()
    }

    /// The checkpoint of everything but the comparisons, and the file that says so.
    var source: Named<Fingerprint>? { sources.first }

    private var sources: [Named<Fingerprint>] {
        [sensitivity.map { Named($0.artifact.source, file: $0.file) }].compactMap { $0 }
            + plans.map { Named($0.artifact.source, file: $0.file) }
            + [compression.map { Named($0.artifact.fingerprint, file: $0.file) }].compactMap { $0 }
            + trainings.compactMap { training in
                training.artifact.source.map { Named($0, file: training.file) }
            } + [evaluation.map { Named($0.artifact.source, file: $0.file) }].compactMap { $0 }
            + drafts.compactMap { draft in
                self.source(of: draft.artifact).map { Named($0, file: draft.file) }
            }
    }

    /// The dense checkpoint that a draft's model certainly comes from; `nil` where the draft does not say, or where that model is
    /// dense and may be what a training on this page made, which no artifact names.
    private func source(of draft: DraftReport) -> Fingerprint? {
        draft.source == draft.target && !trainings.isEmpty ? nil : draft.source
    }

    private func requireOneSource() throws(ReportError) {
        guard let source else { return }
        for other in sources where other.artifact != source.artifact {
            throw .differentSource(
                file: other.file, found: other.artifact, other: source.file,
                expected: source.artifact)
        }
        let compared = Set(comparisons.map(\.artifact.source))
        guard compared.isEmpty || compared.contains(source.artifact) else {
            throw .notCompared(
                file: source.file, source: source.artifact,
                compared: compared.sorted { $0.hex < $1.hex })
        }
    }

    private func requireDistinctEntries() throws(ReportError) {
        var models: [String: Named<ComparisonEntry>] = [:]
        for (entry, next) in zip(comparisons, comparisons.dropFirst()) {
            let (a, b) = (entry.artifact, next.artifact)
            if (a.model, a.method, a.keep) == (b.model, b.method, b.keep), a.source == b.source {
                throw .repeatedEntry(file: entry.file, other: next.file)
            }
        }
        for entry in comparisons {
            let first = models[entry.artifact.model] ?? entry
            models[entry.artifact.model] = first
            guard first.artifact.source == entry.artifact.source else {
                throw .modelOfTwoSources(
                    entry.artifact.model, file: first.file, other: entry.file)
            }
        }
    }

    /// What cannot be divided by, or drawn on a logarithmic axis.
    private static func requireSense(_ entry: Named<ComparisonEntry>) throws(ReportError) {
        func require(_ holds: Bool, _ key: String, _ value: Double, _ expected: String)
            throws(ReportError)
        {
            guard holds, value.isFinite else {
                throw .number(file: entry.file, key: key, value: value, expected: expected)
            }
        }
        let (it, positive) = (entry.artifact, "a number above 0")
        try require(it.keep > 0 && it.keep <= 1, "keep", it.keep, "above 0 and at most 1")
        try require(it.bytesBefore > 0, "bytes_before", Double(it.bytesBefore), positive)
        try require(it.bytesAfter > 0, "bytes_after", Double(it.bytesAfter), positive)
        for text in it.texts {
            try require(
                text.densePerplexity > 0, "dense_perplexity", text.densePerplexity, positive)
            try require(text.perplexity > 0, "perplexity", text.perplexity, positive)
            try require(text.klMean.isFinite, "kl_mean", text.klMean, "a finite number")
            try require(
                text.top1Agreement.isFinite, "top1_agreement", text.top1Agreement,
                "a finite number")
        }
    }
}

extension ReportInputs {
    /// Reads the files.
    /// - Parameters:
    ///   - drafts: their folders, or the reports in them.
    ///   - comparisons: folders whose *.json files are comparisons.
    package init(
        sensitivity: String?, plans: [String], compression: String?, trainings: [String] = [],
        evaluation: String? = nil, drafts: [String] = [], speculations: [String] = [],
        comparisons: [String]
    ) throws {
        func named<Artifact: JSONArtifact & Sendable>(_ path: String) throws -> Named<Artifact> {
            Named(try Artifact.read(path), file: path)
        }
        try self.init(
            sensitivity: try sensitivity.map { try named($0) },
            plans: try plans.map { try named($0) },
            compression: try compression.map { try named($0) },
            trainings: try trainings.map { try named($0) },
            evaluation: try evaluation.map { Named(try RunEvaluation(reading: $0), file: $0) },
            drafts: try drafts.map { try named(Self.report(ofDraft: $0)) },
            speculations: try speculations.map { Named(try SpeculationEntry.read($0), file: $0) },
            comparisons: try comparisons.flatMap { try Self.files(in: $0) }.map { try named($0) })
    }

    /// The file itself, or the one in a draft's folder.
    package static func report(ofDraft path: String) throws(ReportError) -> String {
        guard isFolder(path) else { return path }
        let file = "\(path)/\(DraftReport.file)"
        guard FileManager.default.fileExists(atPath: file) else { throw .noDraftReport(path) }
        return file
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            && isFolder.boolValue
    }

    private static func files(in folder: String) throws -> [String] {
        guard isFolder(folder) else { throw ReportError.notFolder(folder) }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            .filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
        guard !names.isEmpty else { throw ReportError.emptyFolder(folder) }
        return names.map { "\(folder)/\($0)" }
    }
}
