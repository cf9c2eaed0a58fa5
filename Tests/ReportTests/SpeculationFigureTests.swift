import Artifacts
import Foundation
import Testing

@testable import Report

@Suite("The report's section of drafts")
struct SpeculationFigureTests {
    private func html(
        _ drafts: [ReportInputs.Named<DraftReport>] = [],
        measured: [ReportInputs.Named<[SpeculationEntry]>] = []
    ) throws -> String {
        let html = try TestData.html(
            try TestData.inputs(drafts: drafts, speculations: measured))
        _ = try WellFormedness(html)
        return html
    }

    @Test("what a draft was trained for, what it holds, and how far it is right")
    func draft() throws {
        let html = try html([try TestData.draft()])
        for fragment in [
            "<h1>checkpoint 0a0a0a0a0a0a</h1>", "<h3>guesser: 1,650,000 parameters</h3>",
            "the dense model, \(try TestData.source().hex)", "2,048 tokens, 87.5% of the text",
            "512 tokens in 2.00 s on cpu, 256 tokens/s",
            // 1 + ½ + ¼ + ⅛ + 1/16, and to the seventh.
            "1.94 tokens a step, 1.38 before the training",
            "1.99 tokens a step, 1.38 before the training", "1,234 places",
            "after, guess 2: 25.0%", "before, guess 1: 25.0%", "4.00 after 512 tokens",
            "Every pass · 7 rows", "Settings · 1 row",
        ] {
            #expect(html.contains(fragment), "\(fragment)")
        }
        #expect(html.components(separatedBy: "<svg").count == 3, "acceptance and loss")
    }

    @Test("lines of the chart stand where their shares are")
    func positions() throws {
        let chart = AcceptanceChart([
            .init(name: "a", shares: [1, 0.5, 0], isOurs: true),
            .init(name: "none", shares: [], isOurs: false),
        ])
        let drawing = try #require(chart.drawing(label: "x"))
        let plot = Plot(width: 440, height: 300, left: 46, right: LineEnd.room(for: ["a"]))
        let middle = NumberText.coordinate((plot.xRange.0 + plot.xRange.1) / 2)
        let (low, high) = (plot.yRange.0, plot.yRange.1)
        let path =
            "M\(NumberText.coordinate(plot.xRange.0)) \(NumberText.coordinate(high))"
            + "L\(middle) \(NumberText.coordinate((low + high) / 2))"
            + "L\(NumberText.coordinate(plot.xRange.1)) \(NumberText.coordinate(low))"
        #expect(drawing.markup().rendered.contains(path))
        #expect(!drawing.markup().rendered.contains("none"))
        #expect(
            AcceptanceChart([.init(name: "a", shares: [], isOurs: true)]).drawing(label: "") == nil)
    }

    @Test("chains are told as far as passes were trained, and what was not measured is not told")
    func less() throws {
        let short = try html([
            try TestData.draft(before: nil, after: [0.5, 0.25, 0.125], losses: [])
        ])
        #expect(short.contains("chains of 3") && short.contains("1.88 tokens a step</dd>"))
        for absent in ["chains of 4", "chains of 7", "before the training", "Loss of each step"] {
            #expect(!short.contains(absent), "\(absent)")
        }
        let blind = try html([try TestData.draft(before: nil, after: nil)])
        #expect(blind.contains("not measured") && blind.contains("Loss of each step"))
        #expect(!blind.contains("chains of") && !blind.contains("Every pass"))
        let single = try html([try TestData.draft(before: [0], after: [0.5], losses: [3])])
        #expect(single.contains("chains of 1") && !single.contains("nan"))
    }

    @Test("a page says what it knows of the model that a draft is for")
    func targets() throws {
        func html(_ target: String, _ source: String?) throws -> String {
            try TestData.html(
                try TestData.inputs(
                    map: try TestData.map(), trainings: [try TestData.training(source: "0a")],
                    drafts: [try TestData.draft(target: target, source: source)]))
        }
        let other = try TestData.source("cc").hex
        #expect(try html("0a", "0a").contains(">the dense model, 0a0a"))
        #expect(try html("0a", nil).contains(">the dense model, 0a0a"))
        #expect(try html("cc", "0a").contains(">a model compressed from the dense one, \(other)"))
        #expect(try html("cc", "cc").contains(">a dense model, \(other)"))
        #expect(try html("cc", nil).contains(">checkpoint \(other), which nothing else"))
        let alone = try self.html([try TestData.draft(target: "cc", source: nil)])
        #expect(alone.contains(">checkpoint \(other)</dd>") && alone.contains("<h1>guesser</h1>"))
    }

    @Test("speeds with a draft and without, by the number of sequences")
    func measured() throws {
        let entries = TestData.speculations(
            TestData.speculation(), TestData.speculation(batch: 8, drafted: 450))
        let html = try html(measured: [entries])
        for fragment in [
            "<h1>decode.json</h1>", "<h3>Measured: decode.json</h3>",
            "64.8% of the linear parameters · keys and values in f32 · 256 tokens behind 128 · chains of 2",
            "with the draft, 1.50×: 750", "with the draft, 0.900×: 450", "1 sequence: 500",
            "8 sequences: 500", "1 sequence, guess 2: 37.5%", "Every measurement · 2 rows",
            "8 of 8", "<strong>1.50×</strong>",
        ] {
            #expect(html.contains(fragment), "\(fragment)")
        }
        #expect(!html.contains("differs"))
        #expect(html.components(separatedBy: "<svg").count == 3)
    }

    @Test("each setting has its pictures; what was never guessed has no line; other texts are told")
    func settings() throws {
        var auto = TestData.speculation(shares: [], sameTexts: 0)
        #expect(
            try html(measured: [TestData.speculations(auto)]).components(separatedBy: "<svg").count
                == 2)
        let html = try html(measured: [TestData.speculations(auto, TestData.speculation())])
        #expect(html.contains("In 1 of 2 measurements some text differs"))
        auto = SpeculationEntry(
            variant: .dense, keep: 1, kv: "bf16", batch: 1, context: 1_024, tokens: 64,
            draftLength: nil, drafted: 0, accepted: 0, acceptanceLength: 1, acceptedShares: [],
            plainTokensPerSecond: 1e9, tokensPerSecond: 1e-3, ratioToPlain: 1e-12, sameTexts: 1)
        let two = try self.html(measured: [TestData.speculations(TestData.speculation(), auto)])
        #expect(
            two.contains(
                "dense model · keys and values in bf16 · 64 tokens behind 1,024 · chains as long as pay"
            ))
        #expect(two.components(separatedBy: "<h3>Measured: decode.json</h3>").count == 3)
        #expect(!two.contains("nan") && !two.contains("inf"))
    }

    @Test("each plain bar bears the mark of the drafted one beside it")
    func marks() throws {
        func bar(_ value: Double, _ isOurs: Bool) -> BarChart.Bar {
            .init(name: "", value: value, words: "", isOurs: isOurs)
        }
        let bars = [bar(1, false), bar(2, true), bar(3, false), bar(4, true), bar(5, false)]
        let markup = BarChart(bars).drawing(label: "").markup().rendered
        let x = Scale(.linear, 0...5, to: (0, 344))
        let marks = markup.components(separatedBy: "class=\"mark\"").dropLast().map {
            $0.components(separatedBy: "<path d=\"M").last ?? ""
        }
        let expected = [2.0, 4, 4].map { NumberText.coordinate(x.position($0)) + " " }
        #expect(marks.count == 3)
        #expect(zip(marks, expected).allSatisfy { $0.hasPrefix($1) }, "\(marks)")
    }
}
