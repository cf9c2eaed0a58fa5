// Parses arguments, calls one stage, shows progress. Exit status: 0 done, 1 failed, 2 wrong usage,
// 130 interrupted.
import ArgumentParser
import Foundation
import Tensors

@main
struct Minima: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "minima",
        abstract: "Compress language models into tensor networks, measure them, and run them.",
        discussion: """
            A model is a Hugging Face folder: config.json, tokenizer.json and *.safetensors. A first tour:

              minima inspect Models/tiny
              minima compress Models/tiny --keep 0.65 --output /tmp/tiny-65
              minima evaluate /tmp/tiny-65 --reference Models/tiny --text Examples/evaluation.txt
              minima generate /tmp/tiny-65 "The lighthouse"

            Results go to standard output, progress to standard error. Exit status: 0 done, 1 failed, \
            2 wrong usage, 130 interrupted.
            """,
        version: version,
        subcommands: [
            InspectCommand.self, AnalyzeCommand.self, PlanCommand.self, CompressCommand.self,
            QuantizeCommand.self,
            HealCommand.self, PretrainCommand.self, DraftCommand.self,
            EvaluateCommand.self, CompareCommand.self, ReportCommand.self, PredictorCommand.self,
            GenerateCommand.self, ServeCommand.self, RunCommand.self, ExportCommand.self,
            BenchCommand.self,
        ])

    static let version = "0.1.0"
    /// As artifacts record who made them.
    static let program = "minima \(version)"

    static func main() {
        Interruption.install()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch is Interruption {
            FileHandle.standardError.write(Data("minima: interrupted\n".utf8))
            end(130)
        } catch {
            finish(with: error)
        }
    }

    private static func finish(with error: any Error) -> Never {
        let code = exitCode(for: error)
        if code.isSuccess {  // --help, --version, a completion script
            print(fullMessage(for: error))
            Foundation.exit(0)
        }
        let isUsage = code == .validationFailure
        let text = isUsage ? fullMessage(for: error) : "minima: \(OneLine(error))"
        FileHandle.standardError.write(Data((text + "\n").utf8))
        end(isUsage ? 2 : 1)
    }

    private static func end(_ status: Int32) -> Never {
        guard ProcessGroup.isOpen else { Foundation.exit(status) }
        fflush(nil)
        _exit(status)
    }
}

/// An error's description on one line.
private struct OneLine: CustomStringConvertible {
    let description: String

    init(_ error: any Error) {
        // Foundation's errors describe themselves for debuggers; ours are written for users.
        let text = error is CocoaError ? error.localizedDescription : "\(error)"
        description = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
