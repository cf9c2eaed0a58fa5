import Artifacts
import Foundation
import Testing

@testable import Report

@Suite("The report's page")
struct ReportPageTests {
    static let titles = [
        "Sensitivity map", "Spectra and entanglement entropy", "Where the bytes went",
        "What the fits lost", "Measured: dense, compressed, healed",
        "Speculation: how far guesses hold", "Predicted against measured",
        "Quality against bytes: toy",
        "Ablations: toy",
    ]

    @Test("all sections with all data, each with a figure, a sentence and a table")
    func everything() throws {
        let inputs = try TestData.everything()
        #expect(try ReportPage(inputs, version: "1").titles == Self.titles)
        let html = try TestData.html(inputs)
        let sections = html.components(separatedBy: "<section").dropFirst()
        #expect(sections.count == Self.titles.count)
        for (section, title) in zip(sections, Self.titles) {
            #expect(section.contains("<h2>\(title)</h2>"))
            #expect(section.contains("class=\"note\""), "\(title)")
            #expect(section.contains("<svg"), "\(title)")
            #expect(section.contains("<details>") && section.contains("<td"), "\(title)")
        }
        let source = try TestData.source().hex
        for fragment in ["<h1>toy</h1>", source, "minima 1.2.3", "half.json", "seed 7"] {
            #expect(html.contains(fragment), "\(fragment)")
        }
        for folder in ["maps/", "drafts/", "bench/"] {
            #expect(!html.contains(folder), "a page tells no folders")
        }
    }

    @Test("a section appears only with its data")
    func sections() throws {
        func titles(_ inputs: ReportInputs) throws -> [String] {
            try ReportPage(inputs, version: "1").titles
        }
        let map = try TestData.inputs(map: try TestData.map())
        #expect(try titles(map) == Array(Self.titles[0...1]))
        let measured = try TestData.inputs(map: try TestData.map(measured: 1))
        #expect(try titles(measured) == Array(Self.titles[0...1]) + [Self.titles[6]])
        let plan = try TestData.inputs(plans: [try TestData.plan()])
        #expect(try titles(plan) == [Self.titles[2]])
        let fits = try TestData.inputs(compression: try TestData.compression())
        #expect(try titles(fits) == [Self.titles[3]])
        let evaluated = try TestData.inputs(evaluation: try TestData.evaluation())
        #expect(try titles(evaluated) == [Self.titles[4]])
        let compared = try TestData.inputs(comparisons: [try TestData.entry("minima")])
        #expect(try titles(compared) == [Self.titles[7]])
        let ablated = try TestData.inputs(comparisons: [try TestData.entry("ablation-x")])
        #expect(try titles(ablated) == [Self.titles[8]])
        for inputs in [
            try TestData.inputs(drafts: [try TestData.draft()]),
            try TestData.inputs(speculations: [TestData.speculations(TestData.speculation())]),
        ] {
            #expect(try titles(inputs) == [Self.titles[5]])
        }
    }

    @Test("the models of a run beside the dense one, a ruined one among them")
    func evaluation() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "evaluation-\(UUID()).json"
        ).path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try TestData.evaluation().artifact.write(file)
        let inputs = try ReportInputs(
            sensitivity: nil, plans: [], compression: nil, evaluation: file, comparisons: [])
        let html = try TestData.html(inputs)
        for fragment in [
            "dense", "20.0", "∞", "21.0", "+5.00%", "winogrande: acc of 40", "52.5%", "55.0%",
            "87.5%", "valid.txt",
        ] {
            #expect(html.contains(fragment), "\(fragment)")
        }
        #expect(!html.contains("texts/valid.txt"), "a page tells no folders")
        #expect(throws: ReportError.self) {
            try TestData.inputs(
                map: try TestData.map(), evaluation: try TestData.evaluation(source: "bb"))
        }
    }

    @Test("several models have a section each, that of the map first")
    func models() throws {
        let inputs = try TestData.inputs(
            map: try TestData.map(source: "bb"),
            comparisons: [
                try TestData.entry("minima", model: "large", source: "aa"),
                try TestData.entry("minima", model: "small", source: "bb"),
            ])
        let page = try ReportPage(inputs, version: "1")
        #expect(
            page.titles.suffix(2) == [
                "Quality against bytes: small", "Quality against bytes: large",
            ])
        #expect(page.html.contains("<h1>small</h1>"))
    }

    @Test("the same artifacts give the same bytes, in whatever order files are listed")
    func determinism() throws {
        let inputs = try TestData.everything()
        let html = try TestData.html(inputs)
        #expect(try TestData.html(try TestData.everything()) == html)
        let turned = try ReportInputs(
            sensitivity: inputs.sensitivity, plans: inputs.plans, compression: inputs.compression,
            evaluation: inputs.evaluation, drafts: inputs.drafts,
            speculations: inputs.speculations, comparisons: inputs.comparisons.reversed())
        #expect(try TestData.html(turned) == html)
    }

    @Test("the page is well-formed and reaches for nothing outside itself")
    func selfContained() throws {
        let html = try TestData.html(try TestData.everything())
        let page = try WellFormedness(html)
        #expect(page.elements.filter { $0 == "svg" }.count >= 9)
        let namespace = "http://www.w3.org/2000/svg"
        let others = html.replacingOccurrences(of: "xmlns=\"\(namespace)\"", with: "")
        for reference in ["http:", "https:", "//", "url(", "@import", "src=", "<link", "<script"] {
            #expect(!others.contains(reference), "\(reference)")
        }
        for attribute in page.attributes where attribute.name == "href" {
            let target = String(attribute.value.dropFirst())
            #expect(attribute.value.hasPrefix("#"))
            #expect(html.contains("<section id=\"\(target)\""))
        }
    }

    @Test("names cannot inject markup")
    func injection() throws {
        let name = "model.layers.0.<script>alert(\"x\")&</script>'"
        let text = "</title><img src=x onerror=\"y\">"
        let inputs = try TestData.inputs(
            map: try TestData.map([name, "model.layers.1.mlp.up_proj"], measured: 1),
            drafts: [try TestData.draft(output: text)],
            comparisons: [
                try TestData.entry("<b>", model: text, texts: [text]),
                try TestData.entry("ablation-<i>", model: text, texts: [text]),
            ])
        let html = try TestData.html(inputs)
        let page = try WellFormedness(html)
        #expect(Set(page.elements).isDisjoint(with: ["script", "img", "b"]))
        #expect(html.contains("&lt;script&gt;alert(&quot;x&quot;)&amp;"))
    }

    @Test(
        "numbers that a logarithm does not reach, one block, one matrix, and ruined models are drawn"
    )
    func edges() throws {
        let inputs = try TestData.inputs(
            map: try TestData.map(["lm_head"], measured: 0),
            comparisons: [
                try TestData.entry("better-than-dense", perplexity: 19),
                try TestData.entry("ruined", perplexity: .greatestFiniteMagnitude),
                try TestData.entry("plain", perplexity: 21),
                try TestData.entry("ablation-ruin", perplexity: 1e200),
            ])
        let html = try TestData.html(inputs)
        _ = try WellFormedness(html)
        #expect(html.contains("−5.00%") && html.contains("&gt; +10⁶%"))
        #expect(!html.contains("nan") && !html.contains("inf"))
    }
}
