import Testing

@Suite("Usage")
struct UsageTests {
    @Test(
        "help of every command teaches and succeeds",
        arguments: [
            "inspect", "analyze", "plan", "compress", "evaluate", "generate", "export", "report",
            "predictor", "compare", "bench", "heal", "run", "quantize",
        ])
    func help(command: String) throws {
        let result = try Program.run(command, "--help")
        #expect(result.status == 0)
        #expect(result.output.contains("OVERVIEW:"))
        #expect(result.output.contains("minima \(command)"), "the help shows an example")
        #expect(result.errors.isEmpty)
    }

    @Test("version and completions", arguments: ["bash", "zsh", "fish"])
    func completions(shell: String) throws {
        #expect(try Program.run("--version").output == "0.1.0\n")
        let script = try Program.run("--generate-completion-script", shell)
        #expect(script.status == 0)
        #expect(script.output.contains("minima"))
    }

    @Test(
        "wrong usage ends with status 2 and says how to go on",
        arguments: [
            ["nonsense"], ["inspect"], ["inspect", "a", "b"], ["inspect", "a", "--nonsense"],
            ["compress", "m"], ["compress", "m", "--output", "o", "--keep", "1.5"],
            ["compress", "m", "--output", "o", "--keep", "zero"],
            ["compress", "m", "--output", "o", "--format", "dense"],
            ["compress", "m", "--output", "o", "--format", "wavelet"],
            ["compress", "m", "--output", "o", "--windows", "0"],
            ["compress", "m", "--output", "o", "--anchor", "2"],
            ["compress", "m", "--output", "o", "--weights", "int4"],
            ["quantize", "m", "--output", "o"],
            ["quantize", "m", "--output", "o", "--weights", "F8_E4M3"],
            ["compress", "m", "--output", "o", "--plan", "p", "--keep", "0.5"],
            ["compress", "m", "--output", "o", "--unweighted"],
            ["report", "--output", "o"], ["report", "--sensitivity", "s"],
            ["analyze", "m"], ["analyze", "m", "--output", "o", "--probes=-1"],
            ["predictor", "train"],
            ["predictor", "measure", "m", "--shares", "1.5"],
            ["analyze", "m", "--output", "o", "--windows", "0"],
            ["evaluate", "m"], ["evaluate", "m", "--text", "t", "--stride", "0"],
            ["evaluate", "m", "--text", "t", "--window", "8", "--stride", "9"],
            ["evaluate", "m", "--text", "t", "--threads", "0"],
            ["generate", "m", "p", "--prompt-file", "f"],
            ["generate", "m", "p", "--temperature", "-1"], ["generate", "m", "p", "--top-p", "0"],
            ["generate", "m", "p", "--device", "tpu"], ["export", "m", "--output", "o"],
            ["serve"], ["serve", "--config", "c"], ["serve", "m", "--shadow-fraction", "0.1"],
            ["serve", "m", "--fallback-dense", "d"],
            ["bench", "serve"], ["bench", "decode"],
            ["bench", "serve", "m", "--url", "http://localhost:1"],
            ["bench", "serve", "--url", "localhost:1"], ["bench", "serve", "m", "--slo-ttft", "5"],
            ["bench", "serve", "m", "--rate", "1", "--trace", "t"],
        ])
    func wrongUsage(arguments: [String]) throws {
        let result = try Program.run(arguments)
        #expect(result.status == 2)
        #expect(result.errors.contains("Usage:") || result.errors.contains("--help"))
        #expect(result.output.isEmpty)
    }

    @Test("a device that is not there is an error, not a fallback")
    func missingDevice() throws {
        let result = try Program.run("generate", Program.tiny, "x", "--device", "cuda:63")
        #expect(result.status == 1)
        #expect(result.errors.contains("cuda:63 is not available"))
    }

    @Test("progress is plain lines without a terminal, a bar on one, and nothing with --quiet")
    func progress() throws {
        let arguments = "evaluate \(Program.tiny) --text \(Program.text) --window 256 --windows 4"
        let plain = try Program.shell("$minima \(arguments)")
        #expect(plain.status == 0)
        #expect(plain.errors.contains("4/4 windows"))
        #expect(!plain.errors.contains("\r"))
        let terminal = try Program.shell("script -qec \"$minima \(arguments)\" /dev/null")
        #expect(terminal.output.contains("█"))
        #expect(terminal.output.contains("left"))
        #expect(try Program.shell("$minima \(arguments) --quiet").errors.isEmpty)
    }
}
