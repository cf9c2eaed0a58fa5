import Analyze
import ArgumentParser
import TensorNetworks

/// Which formats a plan may choose from.
struct CandidateOptions: ParsableArguments {
    @Option(
        name: .customLong("candidates"),
        help: ArgumentHelp(
            "Formats that a plan may choose beside dense, separated by commas. All ranks of pivoted-low-rank have a price at once; each other format is fitted in four sizes, which takes seconds a matrix.",
            valueName: "formats"))
    var list = FormatList(
        formats: [.pivotedLowRank] + AnalyzeStage.standardFormats)

    /// Those that must be fitted to be priced.
    var formats: [Format.Kind] { list.formats.filter { $0 != .pivotedLowRank } }

    func validate() throws { try Self.validate(list) }

    static func validate(_ list: FormatList) throws {
        guard list.formats.contains(.pivotedLowRank) else {
            throw ValidationError("--candidates must hold pivoted-low-rank")
        }
        guard !list.formats.contains(.dense) else {
            throw ValidationError("--candidates dense is understood")
        }
    }
}

/// Formats separated by commas.
struct FormatList: ExpressibleByArgument {
    let formats: [Format.Kind]

    init(formats: [Format.Kind]) { self.formats = formats }

    init?(argument: String) {
        var formats: [Format.Kind] = []
        for name in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let format = Format.Kind(rawValue: String(name)), !formats.contains(format) else {
                return nil
            }
            formats.append(format)
        }
        self.formats = formats
    }

    var defaultValueDescription: String { formats.map(\.rawValue).joined(separator: ",") }
}
