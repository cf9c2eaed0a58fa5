import Foundation
import Testing

@Suite("Interruption", .serialized)
struct InterruptionTests {
    private func arguments(_ output: String) -> [String] {
        [
            "compress", Program.tiny, "--keep", "0.5", "--windows", "4", "--window", "128",
            "--candidates", "pivoted-low-rank",
            "--threads", "1", "--output", output, "--quiet",
        ]
    }

    private func contents(_ folder: String) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
        }
        return files
    }

    /// Until the run has begun to work: its signal handlers and its journal are in place.
    private func waitForJournal(of output: String, _ process: Process) {
        while !FileManager.default.fileExists(atPath: output + ".run/journal.json"),
            process.isRunning
        {
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    @Test("a run killed at 20 random moments resumes to identical bytes")
    func killed() throws {
        try withScratch { scratch in
            let start = Date()
            #expect(try Program.run(arguments(scratch.path("whole"))).status == 0)
            let duration = Date().timeIntervalSince(start)
            let expected = try contents(scratch.path("whole"))

            var random = SystemRandomNumberGenerator()
            let output = scratch.path("killed")
            var kills = 0
            while kills < 20 {
                let running = try Program.start(arguments(output), in: scratch)
                Thread.sleep(forTimeInterval: Double.random(in: 0..<duration / 2, using: &random))
                guard running.process.isRunning else {
                    // It came to its end: start over.
                    #expect(try running.finish().status == 0)
                    #expect(try contents(output) == expected)
                    try FileManager.default.removeItem(atPath: output)
                    continue
                }
                kill(running.process.processIdentifier, SIGKILL)
                _ = try running.finish()
                kills += 1
                guard FileManager.default.fileExists(atPath: output) else { continue }
                #expect(try contents(output) == expected, "the output appears whole")
                // Killed after its last step, with nothing left to continue: start over.
                if !FileManager.default.fileExists(atPath: output + ".run") {
                    try FileManager.default.removeItem(atPath: output)
                }
            }
            let last = try Program.run(arguments(output))
            #expect(last.status == 0, "\(last.errors)")
            #expect(try contents(output) == expected)
            #expect(try scratch.contents() == ["killed", "whole"], "nothing is left behind")
        }
    }

    @Test("an analysis killed at 10 random moments ends with the same map")
    func killedAnalysis() throws {
        try withScratch { scratch in
            func line(_ cache: String, _ map: String, _ prefix: String = "") -> String {
                "MINIMA_CACHE='\(scratch.path(cache))' \(prefix) $minima analyze '\(Program.tiny)' "
                    + "--calibration '\(Program.text)' --windows 3 --window 96 --threads 1 --quiet "
                    + "--candidates pivoted-low-rank --output '\(scratch.path(map))'"
            }
            func contents(_ map: String) throws -> Data {
                try Data(contentsOf: URL(fileURLWithPath: scratch.path(map)))
            }
            let start = Date()
            #expect(try Program.shell(line("first", "whole.json")).status == 0)
            let duration = Date().timeIntervalSince(start)
            let expected = try contents("whole.json")
            var kills = 0
            while kills < 10 {
                let moment = Double.random(in: 0.05..<max(0.1, duration / 2))
                let killed = try Program.shell(
                    line("second", "map.json", "timeout -s KILL \(moment)"))
                // timeout passes its own death on, as 9 or as 128 + 9.
                #expect([0, 9, 137].contains(killed.status), "\(killed.errors)")
                kills += killed.status == 0 ? 0 : 1
                // Done, or killed when the map had been written: it is whole. Start over.
                if FileManager.default.fileExists(atPath: scratch.path("map.json")) {
                    #expect(try contents("map.json") == expected)
                    for name in ["map.json", "second"] {
                        try FileManager.default.removeItem(atPath: scratch.path(name))
                    }
                }
            }
            let last = try Program.shell(line("second", "map.json"))
            #expect(last.status == 0, "\(last.errors)")
            #expect(try contents("map.json") == expected)
        }
    }

    @Test("SIGINT ends a run between two steps, with status 130, and it can be continued")
    func interrupt() throws {
        try withScratch { scratch in
            let output = scratch.path("out")
            let running = try Program.start(arguments(output), in: scratch)
            waitForJournal(of: output, running.process)
            running.process.interrupt()
            let result = try running.finish()
            if result.status != 0 {
                #expect(result.status == 130)
                #expect(result.errors.contains("interrupted"))
                #expect(!FileManager.default.fileExists(atPath: output))
            }
            if !FileManager.default.fileExists(atPath: output) {
                #expect(try Program.run(arguments(output)).status == 0)
            }
            #expect(try scratch.contents() == ["out"])
        }
    }

    @Test("an unfinished run with other settings is not mixed with this one")
    func otherSettings() throws {
        try withScratch { scratch in
            let output = scratch.path("out")
            let running = try Program.start(arguments(output), in: scratch)
            waitForJournal(of: output, running.process)
            kill(running.process.processIdentifier, SIGKILL)
            _ = try running.finish()
            var other = arguments(output)
            other[3] = "0.6"
            let refused = try Program.run(other)
            #expect(refused.status == 1)
            #expect(refused.errors.contains("another budget"))
            #expect(try Program.run(other + ["--restart"]).status == 0)
        }
    }
}
