import Artifacts
import Foundation
import Testing

@testable import Report

@Suite("Picture of an ablation")
struct AblationPictureTests {
    private func entry(_ row: String, perplexities: [Double], speed: Double) -> AblationEntry {
        AblationEntry(
            source: Fingerprint(hashing: [[1]]), row: row, settings: [:],
            size: .init(linearParameters: 10, parameters: 20, bytes: 40),
            speed: .init(
                batch: 1, tokensPerSecond: speed, samples: [speed], acceptanceLength: nil,
                text: Fingerprint(hashing: [])),
            texts: perplexities.enumerated().map {
                .init(file: "<text \($0.offset)>", tokens: 5, perplexity: $0.element)
            })
    }

    @Test(
        "a panel for each text and one for the speed; every row has its bar in each, ruined ones too"
    )
    func panels() throws {
        let rows = [
            entry("dense", perplexities: [20, 40], speed: 100),
            entry("uniform", perplexities: [50, .infinity], speed: 150),
            entry("speculation", perplexities: [21, 39], speed: 300),
        ]
        let svg = AblationPicture(rows).svg
        let read = try WellFormedness(svg)
        #expect(read.elements.first == "svg")
        let bars = read.attributes.filter { $0.name == "class" && $0.value.hasPrefix("bar") }
        #expect(bars.count == 9 && bars.filter { $0.value == "bar ours" }.count == 3)
        for words in [
            "&lt;text 0&gt;: rise of perplexity over 20.0", "+ speculation", "21.0 (+5.00%)",
            "39.0 (−2.50%)", "&gt; +10⁶%", "300 (3.00×)",
        ] {
            #expect(svg.contains(words), "\(words)")
        }
    }
}
