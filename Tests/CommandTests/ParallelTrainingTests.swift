import Foundation
import Glibc
import Testing

/// Several processes of the program on this host, over gloo.
@Suite("several processes", .serialized)
struct ParallelTrainingTests {
    private static let corpus = Program.root + "/Examples/calibration.txt"

    /// A port that nobody listens on.
    private func freePort() throws -> Int {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) | getsockname(socket, $0, &length)
            }
        }
        try #require(status == 0)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private func start(
        _ arguments: [String], _ count: Int, in scratch: Scratch
    ) throws -> [Program.Running] {
        let port = try freePort()
        return try (0..<count).map { rank in
            try Program.start(
                arguments, in: scratch,
                environment: [
                    "RANK": "\(rank)", "WORLD_SIZE": "\(count)", "LOCAL_RANK": "\(rank)",
                    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
                ])
        }
    }

    private func run(
        _ arguments: [String], _ count: Int, in scratch: Scratch
    ) throws -> [Program.Result] {
        try start(arguments, count, in: scratch).map { try $0.finish() }
    }

    private func config(_ scratch: Scratch) throws -> String {
        let path = scratch.path("config.json")
        let text = """
            {"model_type": "qwen3", "vocab_size": 4096, "hidden_size": 32, "intermediate_size": 48,
             "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
             "head_dim": 16, "max_position_embeddings": 256, "tie_word_embeddings": true,
             "dtype": "float32"}
            """
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// - Parameter windows: of a step.
    private func pretrain(
        _ scratch: Scratch, _ output: String, windows: Int, steps: Int, _ more: [String] = []
    ) throws -> [String] {
        [
            "pretrain", "--config", try config(scratch), "--tokenizer", Program.tiny,
            "--corpus", Self.corpus, "--tokens", "\(windows * 32 * steps)",
            "--batch-tokens", "\(windows * 32)", "--window", "32", "--threads", "1",
            "--device", "cpu", "--quiet", "--output", scratch.path(output),
        ] + more
    }

    private func report(_ folder: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/heal.json"))
        return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private func bytes(_ folder: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/model.safetensors")))
    }

    /// All weights, in the order of the file, whose tensors are float32.
    private func weights(_ folder: String) throws -> [Float] {
        let all = try bytes(folder)
        let header = all.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        return all.dropFirst(8 + header).withUnsafeBytes { raw in
            (0..<raw.count / 4).map {
                raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)
            }
        }
    }

    private func expectSame(
        _ one: String, _ several: String, processes: Int, steps: Int
    ) throws {
        let (first, second) = (try report(one), try report(several))
        #expect(second["processes"] as? Int == processes && first["processes"] == nil)
        let curves = try [first, second].map { try #require($0["curve"] as? [[String: Double]]) }
        #expect(curves[0].count == steps && curves[1].count == steps)
        for (a, b) in zip(curves[0], curves[1]) {
            #expect(a.keys == b.keys)
            for (key, value) in a {
                let other = try #require(b[key])
                // A divergence is a difference of terms of some nats each, in float32.
                #expect(
                    abs(value - other) <= 1e-6 * max(1, abs(value)), "\(key) of \(a) and \(b)")
            }
        }
        let texts = try [first, second].map {
            try #require($0["evaluations"] as? [[String: Any]])
        }
        for (a, b) in zip(texts[0], texts[1]) {
            for key in ["loss_before", "loss_after"] {
                let (x, y) = (try #require(a[key] as? Double), try #require(b[key] as? Double))
                #expect(abs(x - y) <= 1e-6 * x)
            }
        }
        let (x, y) = (try weights(one), try weights(several))
        #expect(x.count == y.count && !x.isEmpty)
        let distance = zip(x, y).reduce(0) { max($0, abs($1.0 - $1.1)) }
        // A step moves a weight by up to the rate, 1e-3, whatever the size of its gradient.
        #expect(distance < 2e-5, "\(distance)")
    }

    @Test("two processes train to the losses and weights of one, also on shares that are unequal")
    func same() throws {
        try withScratch { scratch in
            let more = ["--evaluation", Program.text]
            let one = try Program.run(pretrain(scratch, "one", windows: 7, steps: 12, more))
            #expect(one.status == 0, "\(one.errors)")
            let two = try run(
                pretrain(scratch, "two", windows: 7, steps: 12, more), 2, in: scratch)
            #expect(two.map(\.status) == [0, 0], "\(two.map(\.errors))")
            #expect(two[0].output.contains("processes") && two[1].output.isEmpty)
            try expectSame(scratch.path("one"), scratch.path("two"), processes: 2, steps: 12)
            #expect(try scratch.contents() == ["config.json", "one", "two"])
        }
    }

    @Test("more processes than windows, a teacher on disk, and task examples")
    func idle() throws {
        try withScratch { scratch in
            let made = try Program.run(
                pretrain(scratch, "model", windows: 4, steps: 40, ["--learning-rate", "0.02"]))
            #expect(made.status == 0, "\(made.errors)")
            let compressed = try Program.run(
                "compress", scratch.path("model"), "--keep", "0.5", "--windows", "2", "--window",
                "64", "--candidates", "pivoted-low-rank", "--threads", "1", "--device", "cpu",
                "--quiet", "--output", scratch.path("small"))
            #expect(compressed.status == 0, "\(compressed.errors)")
            let tasks = (0..<40).map {
                #"{"prompt": "\#($0) and \#($0) is", "answer": " \#(2 * $0)"}"#
            }
            try Data(tasks.joined(separator: "\n").utf8).write(
                to: URL(fileURLWithPath: scratch.path("tasks.jsonl")))
            func heal(_ output: String) -> [String] {
                [
                    "heal", scratch.path("small"), "--teacher", scratch.path("model"),
                    "--next-token", "0.5", "--teacher-cache", "8",
                    "--tasks", scratch.path("tasks.jsonl"),
                    "--corpus", Self.corpus, "--tokens", "512", "--batch-tokens", "64",
                    "--window", "32", "--threads", "1", "--device", "cpu", "--quiet",
                    "--output", scratch.path(output),
                ]
            }
            let three = try run(heal("three"), 3, in: scratch)
            #expect(three.map(\.status) == [0, 0, 0], "\(three.map(\.errors))")
            let one = try Program.run(heal("one"))
            #expect(one.status == 0, "\(one.errors)")
            try expectSame(scratch.path("one"), scratch.path("three"), processes: 3, steps: 8)
            let curve = try #require(report(scratch.path("one"))["curve"] as? [[String: Double]])
            let divergence = try #require(curve.last?["kl"])
            #expect(divergence > 1e-4, "large enough to be compared")
        }
    }

    @Test(
        "a process that is killed ends the other with its cause, and the same command resumes",
        arguments: [0, 1])
    func killed(rank: Int) throws {
        try withScratch { scratch in
            func arguments(_ output: String) throws -> [String] {
                try pretrain(
                    scratch, output, windows: 4, steps: 60,
                    ["--save-every", "5", "--peer-timeout", "20"])
            }
            let whole = try run(arguments("whole"), 2, in: scratch)
            #expect(whole.map(\.status) == [0, 0], "\(whole.map(\.errors))")
            let processes = try start(arguments("out"), 2, in: scratch)
            let state = scratch.path("out.run") + "/state-10.json"
            while !FileManager.default.fileExists(atPath: state),
                processes.allSatisfy(\.process.isRunning)
            { Thread.sleep(forTimeInterval: 0.005) }
            kill(processes[rank].process.processIdentifier, SIGKILL)
            let begin = Date()
            let left = try processes[1 - rank].finish()
            #expect(Date().timeIntervalSince(begin) < 25)
            #expect(left.status == 1, "\(left.errors)")
            #expect(left.errors.contains("the processes cannot go on together"), "\(left.errors)")
            #expect(left.errors.split(separator: "\n").count == 1, "\(left.errors)")
            #expect(try processes[rank].finish().status == SIGKILL)
            #expect(!FileManager.default.fileExists(atPath: scratch.path("out")))
            let again = try run(arguments("out"), 2, in: scratch)
            #expect(again.map(\.status) == [0, 0], "\(again.map(\.errors))")
            #expect(try bytes(scratch.path("out")) == bytes(scratch.path("whole")))
        }
    }

    @Test("a process that stands still is noticed within the time allowed, and one may go on alone")
    func silent() throws {
        try withScratch { scratch in
            let arguments = try pretrain(
                scratch, "out", windows: 4, steps: 100,
                ["--save-every", "5", "--peer-timeout", "2"])
            let processes = try start(arguments, 2, in: scratch)
            let state = scratch.path("out.run") + "/state-10.json"
            while !FileManager.default.fileExists(atPath: state),
                processes.allSatisfy(\.process.isRunning)
            { Thread.sleep(forTimeInterval: 0.005) }
            kill(processes[1].process.processIdentifier, SIGSTOP)
            let begin = Date()
            let left = try processes[0].finish()
            #expect(Date().timeIntervalSince(begin) < 14)
            #expect(left.status == 1)
            #expect(left.errors.contains("process 1 has given no sign of life"), "\(left.errors)")
            kill(processes[1].process.processIdentifier, SIGKILL)
            _ = try processes[1].finish()
            let alone = try Program.run(arguments)
            #expect(alone.status == 0, "\(alone.errors)")
            #expect((try report(scratch.path("out"))["curve"] as? [Any])?.count == 100)
        }
    }

    @Test("a signal to one process stops both after the same step")
    func interrupted() throws {
        try withScratch { scratch in
            let arguments = try pretrain(scratch, "out", windows: 4, steps: 2_000)
            let processes = try start(arguments, 2, in: scratch)
            let journal = scratch.path("out.run") + "/journal.json"
            while !FileManager.default.fileExists(atPath: journal),
                processes.allSatisfy(\.process.isRunning)
            { Thread.sleep(forTimeInterval: 0.005) }
            Thread.sleep(forTimeInterval: 0.3)
            processes[1].process.interrupt()
            let results = try processes.map { try $0.finish() }
            #expect(results.map(\.status) == [1, 130], "\(results.map(\.errors))")
            #expect(results[0].errors.contains("another process was told to stop"))
            let kept = try FileManager.default.contentsOfDirectory(atPath: scratch.path("out.run"))
            #expect(kept.filter { $0.hasPrefix("state-") && $0.hasSuffix(".json") }.count == 1)
        }
    }

    @Test("what does not belong together is refused by name")
    func refused() throws {
        try withScratch { scratch in
            let arguments = try pretrain(scratch, "out", windows: 4, steps: 4)
            let half = try Program.start(
                arguments, in: scratch, environment: ["WORLD_SIZE": "2"]
            ).finish()
            #expect(half.status == 1 && half.errors.contains("RANK is not"), "\(half.errors)")
            let late = try Program.start(
                arguments + ["--peer-timeout", "1"], in: scratch,
                environment: [
                    "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": "\(try freePort())",
                ]
            ).finish()
            #expect(late.status == 1, "\(late.errors)")
            #expect(late.errors.contains("could not meet the others"), "\(late.errors)")

            let port = try freePort()
            let others = try [arguments, arguments + ["--seed", "5"]].enumerated().map {
                try Program.start(
                    $0.element, in: scratch,
                    environment: [
                        "RANK": "\($0.offset)", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                        "MASTER_PORT": "\(port)",
                    ])
            }
            let results = try others.map { try $0.finish() }
            #expect(results.map(\.status) == [1, 1], "\(results.map(\.errors))")
            #expect(results[1].errors.contains("another seed"), "\(results[1].errors)")

            let taken = try Program.run(arguments)
            #expect(taken.status == 0, "\(taken.errors)")
            let twice = try run(arguments, 2, in: scratch)
            #expect(twice.map(\.status) == [1, 1])
            for result in twice {
                #expect(result.errors.contains("--overwrite"), "\(result.errors)")
            }
        }
    }
}
