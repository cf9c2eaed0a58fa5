import Foundation
import Testing

@Suite("evaluate --tasks")
struct TaskCommandTests {
    /// Made-up documents of two tasks; `count` of one that takes the model some time.
    private func writeDocuments(_ count: Int, in scratch: Scratch) throws -> String {
        let folder = scratch.path("data")
        let texts = (0..<count).map {
            #"{"text": "It was number \#($0) of the old men who went down to the river and the house"}"#
        }
        let choice = """
            {"question": "What is cold?", "choices": {"text": ["fire", "ice"], "label": ["A", "B"]}, \
            "answerKey": "B"}
            """
        for (name, lines) in [("lambada", texts), ("arc-challenge", [choice])] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            let text = lines.map { $0 + "\n" }.joined()
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)/test.jsonl"))
        }
        return folder
    }

    @Test("one JSON object, a table, and a file of items")
    func outputs() throws {
        try withScratch { scratch in
            let data = try writeDocuments(3, in: scratch)
            let items = scratch.path("items.jsonl")
            let arguments = [
                "evaluate", Program.tiny, "--tasks", "lambada,arc_challenge", "--task-data", data,
                "--items", items, "--limit", "2",
            ]
            let run = try Program.run(arguments + ["--reference", Program.tiny, "--json"])
            #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
            let tasks = try #require(run.json()["tasks"] as? [[String: Any]])
            #expect(
                tasks.map { $0["task"] as? String } == ["lambada_openai", "arc_challenge"])
            #expect(tasks.map { $0["items"] as? Int } == [2, 1])
            #expect((tasks[1]["agreement"] as? [String: Double])?["acc_norm,none"] == 1)
            let lines = try String(contentsOfFile: items, encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 2 * (2 + 1))

            let refused = try Program.run(arguments)
            #expect(refused.status == 1 && refused.errors.contains("--overwrite"))
            let again = try Program.run(arguments + ["--overwrite", "--quiet"])
            #expect(again.status == 0 && again.errors.isEmpty, "\(again.errors)")
            #expect(again.output.contains("acc_norm") && again.output.contains("perplexity"))
            #expect(try scratch.contents() == ["data", "items.jsonl"])
        }
    }

    @Test("texts and tasks in one run")
    func both() throws {
        try withScratch { scratch in
            let json = try Program.run(
                "evaluate", Program.tiny, "--text", Program.text, "--window", "64", "--windows",
                "1", "--tasks", "arc-challenge", "--task-data",
                try writeDocuments(1, in: scratch), "--json"
            ).json()
            #expect(json["perplexity"] is NSNumber)
            #expect((json["tasks"] as? [Any])?.count == 1)
        }
    }

    @Test("a run that is killed goes on from its items")
    func killed() throws {
        try withScratch { scratch in
            let data = try writeDocuments(1_200, in: scratch)
            let items = scratch.path("items.jsonl")
            let arguments = [
                "evaluate", Program.tiny, "--tasks", "arc-challenge,lambada", "--task-data", data,
                "--json", "--items",
            ]
            let whole = scratch.path("whole.jsonl")
            let expected = try Program.run(arguments + [whole])
            #expect(expected.status == 0, "\(expected.errors)")

            let run = try Program.start(arguments + [items], in: scratch)
            let unfinished = items + ".unfinished"
            // The header, the one of arc-challenge, the first 512 of lambada.
            while run.process.isRunning, try lineCount(unfinished) < 514 { usleep(5_000) }
            kill(run.process.processIdentifier, SIGKILL)
            _ = try run.finish()
            #expect(!FileManager.default.fileExists(atPath: items))
            let kept = try lineCount(unfinished)
            #expect((514..<1_202).contains(kept))

            // Marks what was kept: it comes back only if it is not computed again.
            let text = try String(contentsOfFile: unfinished, encoding: .utf8)
            try text.replacing("\"greedy\":[false]", with: "\"greedy\":[true]")
                .write(toFile: unfinished, atomically: true, encoding: .utf8)
            #expect(try Program.run(arguments + [items]).status == 0)
            let (ours, theirs) = (
                try String(contentsOfFile: items, encoding: .utf8).split(separator: "\n"),
                try String(contentsOfFile: whole, encoding: .utf8).split(separator: "\n")
            )
            #expect(ours.count == 1_201 && theirs.count == 1_201)
            // The header is no item.
            #expect(ours.dropFirst(kept - 1) == theirs.dropFirst(kept - 1))
            #expect(ours.prefix(kept - 1) != theirs.prefix(kept - 1))
            #expect(!FileManager.default.fileExists(atPath: unfinished))
        }
    }

    private func lineCount(_ path: String) throws -> Int {
        guard let bytes = FileManager.default.contents(atPath: path) else { return 0 }
        return bytes.count { $0 == 0x0A }
    }

    @Test("a broken document ends the run before it begins, and leaves nothing")
    func broken() throws {
        try withScratch { scratch in
            let data = try writeDocuments(2, in: scratch)
            let file = "\(data)/arc-challenge/test.jsonl"
            let text = try String(contentsOfFile: file, encoding: .utf8)
            try (text + "{\"question\": 1}\n").write(
                toFile: file, atomically: true, encoding: .utf8)
            let result = try Program.run(
                "evaluate", Program.tiny, "--tasks", "lambada,arc-challenge", "--task-data", data,
                "--items", scratch.path("items.jsonl"))
            #expect(result.status == 1)
            #expect(result.errors.contains("arc-challenge/test.jsonl: line 2: "))
            #expect(try scratch.contents() == ["data"])
        }
    }

    @Test(
        "wrong usage is status 2",
        arguments: [
            ["--tasks", "lambada"], ["--tasks", "chess", "--task-data", "d"],
            ["--tasks", "lambada,lambada", "--task-data", "d"],
            ["--tasks", "lambada", "--task-data", "d", "--limit", "0"],
            ["--tasks", "lambada", "--task-data", "d", "--shots=-1"],
            ["--text", "t", "--items", "i"],
        ])
    func wrongUsage(_ arguments: [String]) throws {
        let result = try Program.run(["evaluate", "m"] + arguments)
        #expect(result.status == 2, "\(result.errors)")
        #expect(result.output.isEmpty)
    }
}
