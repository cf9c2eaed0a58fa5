import Foundation
import Testing

/// A recipe that runs in seconds, part by part.
private struct RecipeText {
    var model = Program.tiny
    var calibration = "{text: \(Program.root)/Examples/calibration.txt, windows: 2, window: 96}"
    var plan = "{keep: 0.6}"
    var heal: String? =
        "{corpus: \(Program.root)/Examples/calibration.txt, tokens: 4k, batch-tokens: 256, "
        + "window: 128, save-every: 1}"
    var evaluate = "{text: \(Program.text), window: 128, windows: 2}"
    var report: String?

    func write(_ path: String) throws {
        let parts = [
            "model: \(model)", "output: out", "calibration: \(calibration)",
            "analyze: {candidates: pivoted-low-rank}", "plan: \(plan)", "evaluate: \(evaluate)",
        ]
        let lines =
            parts + (heal.map { ["heal: \($0)"] } ?? []) + (report.map { ["report: \($0)"] } ?? [])
        try Data((lines.joined(separator: "\n") + "\n").utf8)
            .write(to: URL(fileURLWithPath: path))
    }
}

private func states(_ recipe: String) throws -> [String: String] {
    let json = try Program.run("run", recipe, "--dry-run", "--json").json()
    let stages = try #require(json["stages"] as? [[String: Any]])
    return Dictionary(
        uniqueKeysWithValues: try stages.map {
            (try #require($0["stage"] as? String), try #require($0["state"] as? String))
        })
}

/// Stages that a run made, in order.
private func made(_ result: Program.Result) throws -> [String] {
    #expect(result.status == 0, "\(result.errors)")
    let stages = try #require(try result.json()["stages"] as? [[String: Any]])
    return stages.filter { $0["made"] as? Bool == true }.compactMap { $0["stage"] as? String }
}

private let stages = ["analyze", "plan", "compress", "heal", "evaluate", "report"]

@Suite("Recipe")
struct RecipeTests {
    static let head = "model: \(Program.tiny)\noutput: out\n"
    static let text = "evaluate: {text: \(Program.text)}\n"
    static let rest = "plan: {keep: 0.6}\n\(text)"

    struct Refusal: Sendable, CustomStringConvertible {
        let text: String
        let complaint: String

        init(_ text: String, _ complaint: String) {
            (self.text, self.complaint) = (text, complaint)
        }

        var description: String { complaint }
    }

    static let strict = [
        Refusal("\(head)\(rest)colour: red\n", ":5: unknown key 'colour'"),
        Refusal("\(head)\(rest)compress: {rank: 3}\n", ":5: unknown key 'compress.rank'"),
        Refusal("\(head)\(text)plan: {keep: much}\n", ":4: 'plan.keep' must be a number"),
        Refusal("\(head)\(text)plan: {keep: '0.6'}\n", ":4: 'plan.keep' must be a number"),
        Refusal(
            "\(head)\(rest)calibration:\n  windows: 1.5\n",
            ":6: 'calibration.windows' must be a whole number"),
        Refusal(
            "\(head)\(rest)compress: {one-sided: yes}\n", ":5: 'compress.one-sided' must be true"),
        Refusal("\(head)\(rest)analyze:\n", ":5: 'analyze' must be keys with values"),
        Refusal(
            "\(head)\(rest)analyze: {patches: [2x2]}\n", ":5: 'analyze.patches' must be a word"),
        Refusal("\(head)\(rest)plan: {keep: 0.5}\n", "'plan' stands twice"),
        Refusal("\(head)\(rest)heal: {tokens: 1M}\n", "'heal.corpus' is missing"),
        Refusal("\(head)plan: {keep: 0.6}\n", "'evaluate' is missing"),
        Refusal(rest, "'model' is missing"),
        Refusal("model: [\n", ":2: "),
        Refusal("", "is empty"),
        Refusal("only words\n", "must be keys with values"),
        Refusal("a: 1\n---\nb: 2\n", ":2: but found another document"),
    ]

    @Test("what a recipe must not hold is refused with its line", arguments: strict)
    func strictness(_ refusal: Refusal) throws { try refused(refusal.text, refusal.complaint) }

    static let contradictions = [
        Refusal("\(text)plan:\n  keep: 0.6\n  vram: 4GiB\n", ":5: plan: give one budget"),
        Refusal("\(text)plan: {keep: 1.5}\n", ":4: plan: keep must be"),
        Refusal("\(rest)compress:\n  refine-steps: 3\n", ":6: compress: refine-steps"),
        Refusal("\(rest)compress: {metric: none, anchor: 0.5}\n", ":5: compress: anchor needs"),
        Refusal("\(rest)analyze: {candidates: [tucker]}\n", ":5: analyze: candidates must hold"),
        Refusal(
            "\(rest)heal:\n  corpus: \(Program.text)\n  tokens: lots\n",
            ":7: heal: The value 'lots' is invalid"),
        Refusal("plan: {keep: 0.6}\nevaluate:\n  window: 8\n", ":4: evaluate: nothing to measure"),
        Refusal(
            "plan: {keep: 0.6}\nevaluate:\n  text: \(Program.text)\n  limit: 5\n",
            ":6: evaluate: task-data, limit"),
    ]

    @Test(
        "what contradicts itself, or what a command refuses, is refused with its line",
        arguments: contradictions)
    func contradiction(_ refusal: Refusal) throws {
        try refused(Self.head + refusal.text, refusal.complaint)
    }

    private func refused(_ text: String, _ complaint: String) throws {
        try withScratch { scratch in
            let recipe = scratch.path("recipe.yaml")
            try Data(text.utf8).write(to: URL(fileURLWithPath: recipe))
            for arguments in [["run", recipe], ["run", recipe, "--dry-run"]] {
                let result = try Program.run(arguments)
                #expect(result.status == 1)
                #expect(result.errors.contains(complaint), "\(result.errors)")
                #expect(result.errors.contains("recipe.yaml"))
            }
            #expect(try scratch.contents() == ["recipe.yaml"], "nothing was written")
        }
    }

    @Test("paths are relative to the recipe's folder; ~ is expanded, and nothing else")
    func paths() throws {
        try withScratch { scratch in
            let folder = scratch.path("a folder")
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: Program.text, toPath: scratch.path("t.txt"))
            let recipe = folder + "/recipe.yaml"
            var text = RecipeText(evaluate: "{text: ../t.txt}")
            try text.write(recipe)
            let planned = try Program.run("run", recipe, "--dry-run")
            #expect(planned.status == 0, "\(planned.errors)")
            #expect(planned.output.contains("--text \(scratch.path("t.txt"))"))
            #expect(planned.output.contains("--output '\(folder)/out/plan.json'"))
            text.report = "{draft: [../t.txt, ../a folder], speculation: ../t.txt}"
            try text.write(recipe)
            let drafts = try Program.run("run", recipe, "--dry-run")
            #expect(
                drafts.output.contains(
                    "--draft \(scratch.path("t.txt")) --draft '\(folder)' --speculation"),
                "\(drafts.output)\(drafts.errors)")
            text.report = nil
            let elsewhere = try Program.run("run", recipe, "--dry-run", "--output", "/tmp/else")
            #expect(elsewhere.output.contains("--output /tmp/else/plan.json"))

            for (path, shown) in [
                ("~/no such file", "\(NSHomeDirectory())/no such file does not exist"),
                ("$HOME/text", "\(folder)/$HOME/text does not exist"),
            ] {
                text.evaluate = "{text: \(path)}"
                try text.write(recipe)
                let result = try Program.run("run", recipe, "--dry-run")
                #expect(result.status == 1)
                #expect(result.errors.contains(":6: 'text': \(shown)"), "\(result.errors)")
            }
        }
    }

    @Test("the recipes of the project are read", arguments: ["tiny", "small", "qwen3-32b"])
    func shipped(name: String) throws {
        try withScratch { scratch in
            let folder = scratch.path("runs")
            for path in ["runs", "models", "data"] {
                try FileManager.default.createDirectory(
                    atPath: scratch.path(path), withIntermediateDirectories: true)
            }
            try FileManager.default.createSymbolicLink(
                atPath: scratch.path("Models"), withDestinationPath: Program.root + "/Models")
            try FileManager.default.createSymbolicLink(
                atPath: scratch.path("Examples"), withDestinationPath: Program.root + "/Examples")
            for model in ["small", "Qwen3-32B"] {
                try FileManager.default.createSymbolicLink(
                    atPath: scratch.path("models/\(model)"), withDestinationPath: Program.tiny)
            }
            for text in ["train.txt.xz", "valid.txt.xz", "wiki.test.raw"] {
                try Data().write(to: URL(fileURLWithPath: scratch.path("data/\(text)")))
            }
            try FileManager.default.copyItem(
                atPath: Program.root + "/runs/\(name).yaml", toPath: folder + "/\(name).yaml")
            let planned = try states(folder + "/\(name).yaml")
            #expect(planned["analyze"] == "to be made")
            #expect(planned["report"] == "to be made after analyze")
            #expect((planned["heal"] == nil) == (name == "qwen3-32b"))
        }
    }
}

@Suite("Recipe run", .serialized)
struct RecipeRunTests {
    private func run(_ recipe: String, _ more: String...) throws -> Program.Result {
        try Program.run(["run", recipe, "--threads", "1", "--json"] + more)
    }

    private func dates(_ folder: String) throws -> [String: Date] {
        var dates: [String: Date] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder)
        where !name.hasPrefix(".") {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
            dates[name] = attributes[.modificationDate] as? Date
        }
        return dates
    }

    @Test("nothing is made twice, and what changed is made again with all behind it")
    func journal() throws {
        try withScratch { scratch in
            let (recipe, out) = (scratch.path("recipe.yaml"), scratch.path("out"))
            var text = RecipeText()
            try text.write(recipe)
            let planned = try states(recipe)
            #expect(planned["analyze"] == "to be made")
            #expect(!FileManager.default.fileExists(atPath: out), "--dry-run writes nothing")
            let first = try run(recipe)
            #expect(try made(first) == stages)
            let evaluation = try #require(try first.json()["evaluation"] as? [String: Any])
            #expect((evaluation["models"] as? [Any])?.count == 2)
            let before = try dates(out)
            #expect(try Set(states(recipe).values) == ["is there"])
            #expect(try made(run(recipe)) == [])
            #expect(try dates(out) == before)

            // A setting of the plan: everything but the analysis is made again, if one may.
            text.plan = "{keep: 0.5}"
            try text.write(recipe)
            let planWords = "plan.keep was 0.6 and is 0.5"
            let changed = try states(recipe)
            #expect(changed["analyze"] == "is there")
            #expect(changed["plan"]?.contains(planWords) == true)
            #expect(changed["report"] == "to be made after plan")
            let refused = try run(recipe)
            #expect(refused.status == 1)
            for words in [planWords, "compressed", "healed", "report.html", "--overwrite"] {
                #expect(refused.errors.contains(words), "\(refused.errors)")
            }
            #expect(try dates(out) == before)
            #expect(try made(run(recipe, "--overwrite")) == Array(stages.dropFirst()))

            // What is gone is made again; the model beside it is not.
            try FileManager.default.removeItem(atPath: out + "/report.html")
            #expect(try states(recipe)["report"] == "to be made again: report.html is gone")
            #expect(try made(run(recipe)) == ["report"])

            // Somebody else's hand.
            try Data("{}".utf8).write(to: URL(fileURLWithPath: out + "/evaluation.json"))
            let touched = try run(recipe)
            #expect(touched.errors.contains("evaluation.json was changed by something else"))
            #expect(try made(run(recipe, "--overwrite")) == ["evaluate", "report"])

            // Without healing.
            text.heal = nil
            try text.write(recipe)
            #expect(try states(recipe)["evaluate"]?.contains("another healed model") == true)
            #expect(try made(run(recipe, "--overwrite")) == ["evaluate", "report"])
        }
    }

    @Test("a result that no run made is not replaced")
    func foreign() throws {
        try withScratch { scratch in
            let (recipe, out) = (scratch.path("recipe.yaml"), scratch.path("out"))
            try RecipeText(heal: nil).write(recipe)
            try FileManager.default.createDirectory(
                atPath: out, withIntermediateDirectories: true)
            let map = URL(fileURLWithPath: out + "/sensitivity.json")
            try Data("mine".utf8).write(to: map)
            let refused = try run(recipe)
            #expect(refused.status == 1)
            #expect(refused.errors.contains("sensitivity.json is not of this run"))
            #expect(try Data(contentsOf: map) == Data("mine".utf8))
        }
    }

    @Test("a run killed while it compresses, and again while it heals, ends with the same bytes")
    func killed() throws {
        try withScratch { scratch in
            let (recipe, out) = (scratch.path("recipe.yaml"), scratch.path("out"))
            try RecipeText().write(recipe)
            let whole = scratch.path("whole")
            #expect(try made(run(recipe, "--output", whole)) == stages)

            for result in ["compressed", "healed"] {
                let running = try Program.start(
                    ["run", recipe, "--threads", "1", "--quiet"], in: scratch)
                while !FileManager.default.fileExists(atPath: "\(out)/\(result).run/journal.json"),
                    running.process.isRunning
                {
                    Thread.sleep(forTimeInterval: 0.005)
                }
                kill(running.process.processIdentifier, SIGKILL)
                let killed = try running.finish()
                #expect(killed.status == SIGKILL, "\(killed.errors)")
                #expect(!FileManager.default.fileExists(atPath: "\(out)/\(result)"))
                #expect(FileManager.default.fileExists(atPath: "\(out)/\(result).run"))
            }
            #expect(try states(recipe)["compress"] == "is there")
            #expect(try states(recipe)["heal"] == "to be continued")
            #expect(try made(run(recipe)) == ["heal", "evaluate", "report"])
            for model in ["compressed", "healed"] {
                let weights = "\(model)/model.safetensors"
                #expect(
                    FileManager.default.contents(atPath: "\(out)/\(weights)")
                        == FileManager.default.contents(atPath: "\(whole)/\(weights)"))
                #expect(!FileManager.default.fileExists(atPath: "\(out)/\(model).run"))
            }
        }
    }
}
