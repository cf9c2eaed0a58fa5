import Foundation
import Testing

@testable import Report

@Suite("Scales, ticks, labels and numbers of the report")
struct DrawingTests {
    @Test("text and attributes are escaped, and what XML does not allow is replaced")
    func escaping() {
        #expect(Markup.escaped("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;")
        #expect(Markup.escaped("é\u{0}\u{1B}\n") == "é\u{FFFD}\u{FFFD}\n")
        let mark = Markup.tag("td", ["title": "\"><x>"], "<&")
        #expect(mark.rendered == "<td title=\"&quot;&gt;&lt;x&gt;\">&lt;&amp;</td>")
        #expect(Markup.tag("br").rendered == "<br/>")
        #expect(Markup.tag("i", ["class": "s"], "").rendered == "<i class=\"s\"></i>")
    }

    @Test(
        "linear ticks are round and inside",
        arguments: [
            (0.0...1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
            (0.0...5.0, ["0", "1", "2", "3", "4", "5"]),
            (-1.0...1.0, ["−1.0", "−0.5", "0.0", "0.5", "1.0"]),
            (58.7...83.5, ["60", "65", "70", "75", "80"]),
            (0.0...0.004, ["0.000", "0.001", "0.002", "0.003", "0.004"]),
        ])
    func linearTicks(domain: ClosedRange<Double>, labels: [String]) {
        let scale = Scale(.linear, domain, to: (0, 100))
        #expect(scale.ticks().map(\.label) == labels)
        for tick in scale.ticks() {
            let place = scale.position(tick.value)
            let expected =
                (tick.value - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
            #expect(abs(place - 100 * expected) < 1e-6)
        }
    }

    @Test(
        "logarithmic ticks are powers of ten, with more between where there are few",
        arguments: [
            (0.001...1000.0, ["0.01", "1", "100"]),
            (3.0...40.0, ["3", "5", "7", "10", "20", "30"]),
            (1.0...100.0, ["1", "2", "5", "10", "20", "50", "100"]),
            (1e-9...1.0, ["10⁻⁸", "10⁻⁶", "10⁻⁴", "0.01", "1"]),
            (100.0...1e6, ["100", "1000", "10⁴", "10⁵", "10⁶"]),
        ])
    func logarithmicTicks(domain: ClosedRange<Double>, labels: [String]) {
        #expect(Scale(.logarithmic, domain, to: (0, 1)).ticks().map(\.label) == labels)
    }

    @Test("a logarithmic scale shows zeros, and what is too small, at its beginning")
    func zeros() throws {
        let scale = try #require(
            Scale.logarithmic([0, -1, 1e-30, 0.01, 100], decades: 6, to: (10, 110)))
        #expect(abs(scale.domain.lowerBound - 1e-4) < 1e-12 && scale.domain.upperBound == 100)
        #expect([0, -1, 1e-30, 9e-5].map { scale.position($0) } == [10, 10, 10, 10])
        #expect(abs(scale.position(0.1) - 60) < 1e-9)
        #expect(scale.position(1e9) == 110)
        #expect(Scale.logarithmic([0, -1, .infinity, .nan], to: (0, 1)) == nil)
        #expect(Scale.logarithmic([], to: (0, 1)) == nil)
        #expect(Scale.logarithmic([.leastNonzeroMagnitude], to: (0, 1)) == nil)
        let huge = try #require(Scale.logarithmic([.greatestFiniteMagnitude], to: (0, 1)))
        #expect(huge.position(.greatestFiniteMagnitude) == 1)
        let single = try #require(Scale.logarithmic([5], to: (0, 1)))
        #expect(abs(single.position(5) - 0.5) < 1e-12)
    }

    @Test(
        "an empty domain is widened, so that its value stands in the middle",
        arguments: [0.0, -3, 7])
    func emptyDomain(value: Double) {
        let scale = Scale(.linear, value...value, to: (0, 10))
        #expect(scale.position(value) == 5)
        #expect(!scale.ticks().isEmpty)
    }

    @Test("labels keep their order and distance, within bounds and near to where they belong")
    func labels() {
        let wanted = [50.0, 10, 51, 52, 99, 0]
        let places = LabelLayout.places(wanted, spacing: 12, within: 0...100)
        let order = wanted.indices.sorted { wanted[$0] < wanted[$1] }
        for (a, b) in zip(order, order.dropFirst()) {
            #expect(places[b] - places[a] >= 12 - 1e-9, "\(places)")
        }
        #expect(places.allSatisfy { $0 >= 0 && $0 <= 100 })
        #expect(abs(places[2] - 51) < 1e-9, "the middle of three stays")
        #expect(places[4] == 99)
        let crowd = LabelLayout.places(
            [Double](repeating: 40, count: 21), spacing: 12, within: 0...100)
        #expect(zip(crowd, crowd.dropFirst()).allSatisfy { abs($1 - $0 - 5) < 1e-9 })
        #expect(LabelLayout.places([], spacing: 1, within: 0...1) == [])
    }

    @Test("numbers as people write them")
    func numbers() {
        #expect(
            [0.0, -0.5, 12.345, 3.1, -0.001, 7.05].map(NumberText.coordinate)
                == ["0", "-0.5", "12.35", "3.1", "0", "7.05"])
        #expect(
            [0, 0.12946, 18.912, 123.4, 12_345, 99_999, 1.23e-7, 4.56e8, -2.5, 9.996, 0.99999].map(
                NumberText.short)
                == [
                    "0", "0.129", "18.9", "123", "12345", "1.00×10⁵", "1.23×10⁻⁷", "4.56×10⁸",
                    "−2.50", "10.0", "1.00",
                ])
        #expect(
            [999, 1_000, 6_151_750, 999_999_999].map(NumberText.bytes)
                == ["999 B", "1.00 kB", "6.15 MB", "1.00 GB"])
        #expect(
            [5.0, 16.32, -0.25, 1200, 2e7].map(NumberText.rise)
                == ["+5.00%", "+16.3%", "−0.25%", "+1200%", "> +10⁶%"])
        #expect(
            [1_234_567, 0, 999, -1_000].map(NumberText.grouped) == [
                "1,234,567", "0", "999", "−1,000",
            ])
    }
}
