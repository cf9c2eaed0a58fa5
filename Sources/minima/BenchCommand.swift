import ArgumentParser

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure what Minima's own work takes on this machine.",
        subcommands: [
            BenchAnalyzeCommand.self, BenchDecodeCommand.self, BenchPrefillCommand.self,
            BenchServeCommand.self, BenchKernelsCommand.self, BenchAblationCommand.self,
        ])
}
