import ArgumentParser
import Artifacts
import Foundation
import Report

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Draw what is known about a model on one HTML page.",
        discussion: """
            The page opens in any browser without a network, in light and dark, on a phone and on paper, and \
            shows what its artifacts tell: which matrices the model depends on and how their spectra fall \
            (a sensitivity map), where a plan leaves the bytes (one or several plans), how well each matrix was fitted (a compression report), how the loss fell (training reports), what the models of a run are worth (its evaluation), how far drafts guess right and what that brings (drafts, and \
            their measurements), how well \
            predictions agree with measurements (a map with measured candidates), and quality against \
            bytes of every method (folders of comparisons, one JSON file each). Artifacts of different \
            checkpoints are refused; a draft's model may be the dense one or one that was compressed from it. The same \
            artifacts give the same page.

              minima report --sensitivity sensitivity.json --plan plan.json -o report.html
              minima report --compare results/tiny --compare results/small -o report.html
              minima report --draft tiny-draft --speculation decode.json -o report.html
            """)

    @Option(help: "Sensitivity map, as in sensitivity.json.", completion: .file())
    var sensitivity: String?

    @Option(help: "Plan, as in plan.json; may be given several times.", completion: .file())
    var plan: [String] = []

    @Option(
        help: "What `minima compress --json` printed, as in compression.json.",
        completion: .file())
    var compression: String?

    @Option(
        help: "What a training did, as in healed/heal.json; may be given several times.",
        completion: .file())
    var heal: [String] = []

    @Option(
        help: "What `minima run` measured, as in runs/tiny/evaluation.json.",
        completion: .file())
    var evaluation: String?

    @Option(
        help: "A draft's folder, or the draft.json in it; may be given several times.",
        completion: .directory)
    var draft: [String] = []

    @Option(
        help:
            "What `minima bench decode --draft DRAFT --json` printed; may be given several times.",
        completion: .file())
    var speculation: [String] = []

    @Option(
        help: "Folder of comparisons, *.json; may be given several times.", completion: .directory)
    var compare: [String] = []

    @Option(name: .shortAndLong, help: "Page to write, as in report.html.", completion: .file())
    var output: String

    @Flag(help: "Replace the page if it exists.")
    var overwrite = false

    @OptionGroup var result: OutputOptions

    func validate() throws {
        guard
            sensitivity != nil || !plan.isEmpty || compression != nil || !heal.isEmpty
                || evaluation != nil || !draft.isEmpty || !speculation.isEmpty || !compare.isEmpty
        else {
            throw ValidationError(
                "give --sensitivity, --plan, --compression, --heal, --evaluation, --draft, --speculation or --compare"
            )
        }
    }

    func run() throws {
        let written = try made()
        if result.json {
            try result.printJSON(written)
        } else if !result.quiet {
            print(
                (written.sections.map { ("section", $0) }
                    + [("written", "\(output), \(written.bytes.grouped) bytes")]).aligned)
        }
    }

    /// Draws and writes the page.
    func made() throws -> Written {
        let files =
            try [sensitivity, compression, evaluation].compactMap { $0 } + plan + heal + speculation
            + draft.map { try ReportInputs.report(ofDraft: $0) }
        if let input = files.first(where: isOutput) {
            throw PageExists(file: input, isInput: true)
        }
        guard overwrite || !FileManager.default.fileExists(atPath: output) else {
            throw PageExists(file: output, isInput: false)
        }
        let inputs = try ReportInputs(
            sensitivity: sensitivity, plans: plan, compression: compression, trainings: heal,
            evaluation: evaluation, drafts: draft, speculations: speculation, comparisons: compare)
        let page = try ReportPage(inputs, version: Minima.configuration.version)
        let bytes = Array(page.html.utf8)
        try AtomicFile.write(bytes, to: output)
        return Written(output: output, bytes: bytes.count, sections: page.titles)
    }

    private func isOutput(_ path: String) -> Bool {
        func place(_ path: String) -> String {
            URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        }
        return place(path) == place(output)
    }

    struct Written: Encodable {
        let output: String
        let bytes: Int
        let sections: [String]
    }
}

private struct PageExists: Error, CustomStringConvertible {
    let file: String
    let isInput: Bool

    var description: String {
        isInput
            ? "\(file) is what the report is made from; choose another output"
            : "\(file) exists; choose another output or pass --overwrite"
    }
}
