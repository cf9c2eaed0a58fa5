import Foundation
import Testing

/// Every fault ends with status 1, one line that names the file and the cause, and no output.
@Suite("Bad input")
struct BadInputTests {
    private func expectFailure(
        _ arguments: [String], naming fragments: String..., in scratch: Scratch,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let before = try scratch.contents()
        let result = try Program.run(arguments)
        #expect(result.status == 1, "\(result.errors)", sourceLocation: sourceLocation)
        let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("minima: ") }
        #expect(lines.count == 1, "\(result.errors)", sourceLocation: sourceLocation)
        for fragment in fragments {
            #expect(
                result.errors.contains(fragment), "'\(fragment)' in: \(result.errors)",
                sourceLocation: sourceLocation)
        }
        let after = try scratch.contents()
        #expect(after.filter { !$0.hasSuffix(".run") } == before, sourceLocation: sourceLocation)
    }

    private func edit(_ path: String, _ change: (inout Data) throws -> Void) throws {
        let url = URL(fileURLWithPath: path)
        var data = try Data(contentsOf: url)
        try change(&data)
        try data.write(to: url)
    }

    private func replace(_ path: String, _ old: String, _ new: String) throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains(old))
        try text.replacingOccurrences(of: old, with: new)
            .write(toFile: path, atomically: false, encoding: .utf8)
    }

    @Test("missing and foreign folders")
    func folders() throws {
        try withScratch { scratch in
            for command in [
                ["inspect"], ["generate"], ["evaluate", "--text", Program.text],
                ["compress", "--output", scratch.path("o")],
                ["export", "--dense", "--output", scratch.path("o")],
            ] {
                try expectFailure(
                    [command[0], scratch.path("nothing")] + command.dropFirst(), naming: "nothing",
                    in: scratch)
            }
            try expectFailure(
                ["export", Program.tiny, "--dense", "--output", scratch.path("o")],
                naming: "dense checkpoint already", in: scratch)
        }
    }

    @Test("a truncated, an oversized and a NaN-filled tensor file")
    func tensors() throws {
        try withScratch { scratch in
            let model = try scratch.copyOfTiny()
            let file = model + "/model.safetensors"
            let whole = try Data(contentsOf: URL(fileURLWithPath: file))
            try edit(file) { $0.removeLast(1_000) }
            try expectFailure(["inspect", model], naming: "model.safetensors", in: scratch)
            try whole.write(to: URL(fileURLWithPath: file))
            try edit(file) { $0.append(Data(repeating: 0, count: 64)) }
            try expectFailure(["inspect", model], naming: "model.safetensors", in: scratch)
            try whole.write(to: URL(fileURLWithPath: file))
            // 0xFFFF is a bfloat16 NaN.
            try edit(file) {
                $0.replaceSubrange(
                    ($0.count - 64)..<$0.count, with: Data(repeating: 0xFF, count: 64))
            }
            for arguments in [
                ["generate", model, "x"],
                ["evaluate", model, "--text", Program.text, "--window", "64"],
                ["compress", model, "--windows", "2", "--quiet", "--output", scratch.path("o")],
                [
                    "analyze", model, "--quiet", "--calibration", Program.text, "--output",
                    scratch.path("map.json"),
                ],
                [
                    "compress", model, "--format", "low-rank", "--unweighted", "--output",
                    scratch.path("o"),
                ],
            ] {
                try expectFailure(arguments, naming: "model.safetensors", "NaN", in: scratch)
            }
        }
    }

    @Test("drafts that are none, or of another model")
    func drafts() throws {
        try withScratch { scratch in
            let draft = scratch.path("draft")
            func expect(
                _ fragments: String..., from change: () throws -> Void,
                sourceLocation: SourceLocation = #_sourceLocation
            ) throws {
                try FileManager.default.copyItem(atPath: Program.tiny + "-draft", toPath: draft)
                try change()
                for command in [["generate", Program.tiny, "x"], ["serve", Program.tiny]] {
                    for fragment in fragments {
                        try expectFailure(
                            command + ["--draft", draft, "--device", "cpu"], naming: fragment,
                            in: scratch, sourceLocation: sourceLocation)
                    }
                }
                try FileManager.default.removeItem(atPath: draft)
            }
            let (file, configuration) = (draft + "/model.safetensors", draft + "/config.json")
            try expect("vocabulary of 4100 tokens", "has 4096") {
                try replace(configuration, "\"vocab_size\" : 4096", "\"vocab_size\" : 4100")
            }
            try expect("'d2t'") {
                try edit(file) { data in
                    guard let range = data.range(of: Data("\"d2t\"".utf8)) else { return }
                    data.replaceSubrange(range, with: Data("\"d9t\"".utf8))
                }
            }
            try expect("reads what enters layer 9") {
                try replace(configuration, "      5\n", "      9\n")
            }
            try expect("model.safetensors") { try edit(file) { $0.removeLast(1_000) } }
            try expect("draft") { try FileManager.default.removeItem(atPath: configuration) }
        }
    }

    @Test("a missing shard and a configuration that disagrees with the tensors")
    func disagreements() throws {
        try withScratch { scratch in
            let sharded = try scratch.copyOfTiny("sharded")
            try FileManager.default.moveItem(
                atPath: sharded + "/model.safetensors",
                toPath: sharded + "/model-00001-of-00002.safetensors")
            try Data(
                #"{"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}"#.utf8
            )
            .write(to: URL(fileURLWithPath: sharded + "/model.safetensors.index.json"))
            try expectFailure(
                ["inspect", sharded], naming: "model-00002-of-00002.safetensors", in: scratch)

            let model = try scratch.copyOfTiny()
            try replace(
                model + "/config.json", "\"intermediate_size\": 768", "\"intermediate_size\": 700")
            try expectFailure(["generate", model, "x"], naming: "mlp", in: scratch)
            try replace(
                model + "/config.json", "\"intermediate_size\": 700", "\"intermediate_size\": -7")
            try expectFailure(
                ["generate", model, "x"], naming: "config.json", "intermediate_size", in: scratch)
            try replace(model + "/config.json", "\"qwen3\"", "\"mamba\"")
            try expectFailure(["generate", model, "x"], naming: "mamba", "qwen3", in: scratch)
        }
    }

    @Test("absurd ranks in minima.json")
    func manifest() throws {
        try withScratch { scratch in
            let output = scratch.path("out")
            #expect(
                try Program.run(
                    "compress", Program.tiny, "--format", "low-rank", "--unweighted", "--output",
                    output
                ).status == 0)
            let manifest = output + "/minima.json"
            let whole = try String(contentsOfFile: manifest, encoding: .utf8)
            let rank = try #require(whole.firstMatch(of: #/"rank" : \d+/#)).output
            for absurd in ["4611686018427387904", "-1", "0", "99999"] {
                try whole.replacing(rank, with: "\"rank\" : \(absurd)")
                    .write(toFile: manifest, atomically: false, encoding: .utf8)
                try expectFailure(
                    ["generate", output, "x"], naming: "minima.json", "rank", in: scratch)
            }
        }
    }

    @Test("a tokenizer with broken merges")
    func tokenizer() throws {
        try withScratch { scratch in
            let model = try scratch.copyOfTiny()
            let path = model + "/tokenizer.json"
            var json = try #require(
                JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
                    as? [String: Any])
            var inner = try #require(json["model"] as? [String: Any])
            inner["merges"] = ["no such pieces"]
            json["model"] = inner
            try JSONSerialization.data(withJSONObject: json).write(to: URL(fileURLWithPath: path))
            try expectFailure(
                ["generate", model, "x"], naming: "tokenizer.json", "merge", in: scratch)
        }
    }

    @Test("an empty corpus, one that is too short, and one that is missing")
    func corpora() throws {
        try withScratch { scratch in
            let (empty, short) = (scratch.path("empty.txt"), scratch.path("short.txt"))
            try Data().write(to: URL(fileURLWithPath: empty))
            try Data("A few words.".utf8).write(to: URL(fileURLWithPath: short))
            try expectFailure(
                ["evaluate", Program.tiny, "--text", empty], naming: "empty.txt", in: scratch)
            try expectFailure(
                ["evaluate", Program.tiny, "--text", short], naming: "short.txt", "too short",
                in: scratch)
            try expectFailure(
                ["evaluate", Program.tiny, "--text", scratch.path("none.txt")], naming: "none.txt",
                in: scratch)
            try expectFailure(
                ["compress", Program.tiny, "--calibration", empty, "--output", scratch.path("o")],
                naming: "empty.txt", in: scratch)
        }
    }

    @Test("an output that cannot be written, and a disk that fills up")
    func outputs() throws {
        try withScratch { scratch in
            try expectFailure(
                [
                    "compress", Program.tiny, "--unweighted", "--format", "low-rank", "--output",
                    "/proc/minima-out",
                ],
                naming: "/proc/minima-out", in: scratch)
            // A limit on file size, in KiB: the disk is full from the program's point of view.
            let output = scratch.path("out")
            for limit in [1, 100, 2_000] {
                let result = try Program.shell(
                    "ulimit -f \(limit); $minima compress \(Program.tiny) --unweighted --format low-rank --output \(output) --quiet"
                )
                #expect(result.status == 1)
                #expect(result.errors.hasPrefix("minima: "))
                #expect(result.errors.contains("out"), "\(result.errors)")
                #expect(!FileManager.default.fileExists(atPath: output))
            }
            // With room again the run is continued.
            #expect(
                try Program.run(
                    "compress", Program.tiny, "--unweighted", "--format", "low-rank", "--output",
                    output
                ).status == 0)
        }
    }
}
