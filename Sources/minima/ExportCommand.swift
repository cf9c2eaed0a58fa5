import ArgumentParser
import Compress

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a compressed model as a plain one that any runtime loads.",
        discussion: """
            The networks are multiplied out to dense matrices, so the result has the compressed model's \
            behaviour and the dense model's size.

              minima export tiny-65 --dense --output tiny-65-dense
            """)

    @Argument(help: "Folder of the compressed model.", completion: .directory)
    var model: String

    @Flag(help: "Multiply every network out to a dense matrix.")
    var dense = false

    @Option(name: .shortAndLong, help: "Folder to write; it appears when it is complete.")
    var output: String

    @Flag(help: "Replace the output folder if it exists.")
    var overwrite = false

    @OptionGroup var result: OutputOptions

    func validate() throws {
        if !dense { throw ValidationError("say what to export: --dense") }
    }

    func run() throws {
        var export = DenseExport(source: model, output: output)
        export.overwrite = overwrite
        let line = ProgressLine(
            "export", unit: "tensors", total: nil, isQuiet: result.quiet || result.json)
        try export.run { try line.update($0, of: $1) }
        line.finish()
        if result.json {
            try result.printJSON(["output": output])
        } else {
            print("written \(output)")
        }
    }
}
