import Foundation
import Testing

@testable import Artifacts

@Suite("Reports of drafts, and measurements of what they bring")
struct DraftReportTests {
    private static let report = """
        {"version": 1, "target": "\(String(repeating: "0a", count: 32))", "output": "draft",
         "settings": {"passes": 2}, "device": "cpu", "parameters": 10, "draft_vocab_size": 4,
         "coverage": 0.5, "tokens": 64, "seconds": 1.5, "tokens_per_second": 42.5,
         "after": {"positions": 9, "loss": [1, 2], "overlap": [0.5, 0.25], "agreement": [0.5, 0.25]},
         "curve": [{"step": 1, "tokens": 64, "loss": 3, "next_token": 0, "kl": 3,
           "learning_rate": 0.1, "gradient_norm": 1}]}
        """

    static let entry = """
        {"variant": "dense", "keep": 1, "kv": "f32", "batch": 2, "context": 8, "tokens": 16,
         "draft_length": 2, "drafted": 12, "accepted": 6, "acceptance_length": 2.0,
         "accepted_shares": [0.75, 0.25], "plain_tokens_per_second": 100.5,
         "speculative_tokens_per_second": 150.75, "ratio_to_plain": 1.5, "same_texts": 2}
        """

    private func read<Value>(
        _ text: String, _ body: (String) throws -> Value
    ) throws -> Value {
        let folder = try TemporaryFolder()
        try folder.write(text, to: "file.json")
        return try body(folder.file("file.json"))
    }

    private func fault(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("a report of before its source was told is read; chains are added up")
    func older() throws {
        let report = try read(Self.report) { try DraftReport.read($0) }
        #expect(report.source == nil && report.before == nil)
        #expect(report.after?.acceptanceLength(1) == 1.5)
        #expect(report.after?.acceptanceLength(7) == 1.75)
        #expect(report.after?.chains == [2])
        for (passes, chains) in [(4, [4]), (6, [4]), (7, [4, 7]), (16, [4, 7])] {
            let shares = [Double](repeating: 0, count: passes)
            let measured = DraftReport.Measurement(
                positions: 1, loss: shares, overlap: shares, agreement: shares)
            #expect(measured.chains == chains)
        }
        let newer = Self.report.replacing(
            "\"output\"", with: "\"source\": \"\(String(repeating: "1b", count: 32))\", \"output\"")
        #expect(try read(newer) { try DraftReport.read($0) }.source?.hex.hasPrefix("1b") == true)
    }

    @Test(
        "what no training can have done is refused by its key",
        arguments: [
            (
                "\"coverage\": 0.5", "\"coverage\": 1.5",
                "'coverage' is 1.5, not a number from 0 to 1"
            ),
            ("\"tokens_per_second\": 42.5", "\"tokens_per_second\": 1e300", "'tokens_per_second'"),
            ("\"tokens\": 64, \"seconds\"", "\"tokens\": -1, \"seconds\"", "'tokens' is -1"),
            (
                "\"agreement\": [0.5, 0.25]", "\"agreement\": [0.5, 1.25]",
                "'after.agreement' is 1.25"
            ),
            ("\"agreement\": [0.5, 0.25]", "\"agreement\": [0.5]", "'passes of after'"),
            ("\"overlap\": [0.5, 0.25]", "\"overlap\": [0.5, -1]", "'after.overlap' is -1"),
            ("\"loss\": 3", "\"loss\": 1e305", "'curve: step 1: loss'"),
            ("\"device\": \"cpu\"", "\"device\": \"cpu\", \"colour\": 1", "unknown key 'colour'"),
            ("\"parameters\": 10, ", "", "not a draft report: 'parameters' is missing"),
        ])
    func refused(_ old: String, _ new: String, _ words: String) throws {
        #expect(Self.report.contains(old))
        let found = fault {
            _ = try read(Self.report.replacing(old, with: new)) { try DraftReport.read($0) }
        }
        #expect(found.contains(words) && found.contains("file.json"), "\(found)")
    }

    @Test("measurements are read as they were printed")
    func entries() throws {
        let found = try read("[\(Self.entry)]") { try SpeculationEntry.read($0) }
        #expect(found.count == 1 && found[0].batch == 2 && found[0].acceptedShares == [0.75, 0.25])
        let printed = String(decoding: try ResultJSON.encode(found), as: UTF8.self)
        #expect(try read(printed) { try SpeculationEntry.read($0) } == found)
        let auto = Self.entry.replacing("\"draft_length\": 2, ", with: "")
        #expect(try read("[\(auto)]") { try SpeculationEntry.read($0) }[0].draftLength == nil)
    }

    @Test(
        "files that are something else, and numbers that mean nothing",
        arguments: [
            ("[]", "holds no measurement"), (entry, "the document has the wrong type"),
            ("[{\"variant\": \"dense\"}]", "is missing"), ("[", "malformed"),
            ("[\(entry.replacing("\"keep\"", with: "\"colour\": 1, \"keep\""))]", "colour"),
            ("[\(entry.replacing("0.75", with: "1.75"))]", "'accepted_shares' is 1.75"),
            ("[\(entry.replacing("100.5", with: "0"))]", "'plain_tokens_per_second' is 0.0"),
            ("[\(entry.replacing("\"accepted\": 6", with: "\"accepted\": 13"))]", "'accepted'"),
            (
                "[\(entry.replacing("\"batch\": 2", with: "\"batch\": 0"))]",
                "measurement 1: 'batch'"
            ),
            (
                "[\(entry.replacing("\"same_texts\": 2", with: "\"same_texts\": 3"))]",
                "'same_texts'"
            ),
        ])
    func refusedEntries(_ text: String, _ words: String) throws {
        let found = fault { _ = try read(text) { try SpeculationEntry.read($0) } }
        #expect(found.contains(words) && found.contains("file.json"), "\(found)")
        if !words.contains("'") {
            #expect(found.contains("`minima bench decode --draft --json`"))
        }
    }
}
