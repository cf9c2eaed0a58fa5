import Artifacts
import Foundation
import Testing

@testable import Report

@Suite("The report's inputs")
struct ReportInputsTests {
    private func fault(_ body: () throws -> ReportInputs) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("artifacts of different checkpoints are refused by name")
    func sources() throws {
        let plan = fault {
            try TestData.inputs(
                map: try TestData.map(), plans: [try TestData.plan(source: "bb")])
        }
        #expect(plan?.contains("plans/half.json") == true, "\(plan ?? "")")
        #expect(plan?.contains("maps/sensitivity.json") == true)
        #expect(plan?.contains("bbbbbbbbbbbb…") == true && plan?.contains("0a0a0a0a0a0a…") == true)
        let fits = fault {
            try TestData.inputs(
                plans: [try TestData.plan()],
                compression: try TestData.compression(fingerprint: "cc"))
        }
        #expect(fits?.contains("compression.json") == true)
        let compared = fault {
            try TestData.inputs(
                map: try TestData.map(), comparisons: [try TestData.entry("minima", source: "dd")])
        }
        #expect(compared?.contains("dddddddddddd…") == true)
        let twice = fault {
            try TestData.inputs(comparisons: [
                try TestData.entry("minima", source: "aa"),
                try TestData.entry("low-rank", source: "bb"),
            ])
        }
        #expect(twice?.contains("both call their model 'toy'") == true, "\(twice ?? "")")
    }

    @Test("a draft is refused only where its model certainly comes from another checkpoint")
    func drafts() throws {
        func found(
            _ target: String, _ source: String?, trainings: [ReportInputs.Named<HealReport>] = []
        ) throws -> String? {
            fault {
                try TestData.inputs(
                    map: try TestData.map(), trainings: trainings,
                    drafts: [try TestData.draft(target: target, source: source)])
            }
        }
        // Of the dense model, of one compressed from it, of nobody knows which.
        for (target, source) in [("0a", "0a"), ("cc", "0a"), ("0a", nil), ("cc", nil)] {
            #expect(try found(target, source) == nil)
        }
        for (target, source) in [("bb", "bb"), ("cc", "bb")] {
            let refused = try found(target, source)
            #expect(refused?.contains("drafts/guesser/draft.json") == true, "\(refused ?? "")")
            #expect(refused?.contains("bbbbbbbbbbbb…") == true)
        }
        // A dense model may be the control that was trained here; a compressed one comes from where it comes from.
        let control = try TestData.training(source: "0a")
        #expect(try found("bb", "bb", trainings: [control]) == nil)
        #expect(try found("cc", "bb", trainings: [control]) != nil)
        let two = fault {
            try TestData.inputs(drafts: [
                try TestData.draft(), try TestData.draft(target: "cc", source: "bb"),
            ])
        }
        #expect(two?.contains("one report shows one checkpoint") == true, "\(two ?? "")")
    }

    @Test("nothing, the same twice, and numbers that mean nothing")
    func faults() throws {
        #expect(throws: ReportError.noInput) { try TestData.inputs() }
        #expect(throws: ReportError.noMatrix(file: "maps/sensitivity.json")) {
            try TestData.inputs(map: try TestData.map([]))
        }
        let entry = try TestData.entry("minima")
        #expect(throws: ReportError.repeatedEntry(file: entry.file, other: entry.file)) {
            try TestData.inputs(comparisons: [entry, entry])
        }
        for (perplexity, keep) in [
            (Double.nan, 0.5), (0, 0.5), (.infinity, 0.5), (21, 0), (21, 1.5),
        ] {
            let bad = fault {
                try TestData.inputs(comparisons: [
                    try TestData.entry("minima", keep: keep, perplexity: perplexity)
                ])
            }
            #expect(
                bad?.contains(keep == 0.5 ? "'perplexity'" : "'keep'") == true, "\(bad ?? "none")")
        }
    }
}
