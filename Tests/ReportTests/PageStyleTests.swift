import Foundation
import Testing

@testable import Report

@Suite("The report's colours")
struct PageStyleTests {
    /// The variables of the light and of the dark mode, `#rrggbb` each.
    private static let modes: [[String: String]] = PageStyle.sheet.description
        .components(separatedBy: ":root {").dropFirst().map { rest in
            var colours: [String: String] = [:]
            for line in rest.components(separatedBy: "}")[0].components(separatedBy: ";") {
                let parts = line.components(separatedBy: ":").map {
                    $0.trimmingCharacters(in: .whitespacesAndNewlines)
                }
                if parts.count == 2 { colours[parts[0]] = parts[1] }
            }
            return colours
        }

    /// Relative luminance, WCAG 2.
    private func luminance(_ colour: String) throws -> Double {
        let value = try #require(Int(colour.dropFirst(), radix: 16), "\(colour)")
        let channels = [value >> 16 & 255, value >> 8 & 255, value & 255].map { channel in
            let share = Double(channel) / 255
            return share <= 0.03928 ? share / 12.92 : pow((share + 0.055) / 1.055, 2.4)
        }
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
    }

    private func contrast(_ mode: [String: String], _ a: String, _ b: String) throws -> Double {
        let values = try [a, b].map { name in
            let colour = try #require(mode["--" + name], "there is no \(name)")
            return try luminance(colour)
        }.sorted()
        return (values[1] + 0.05) / (values[0] + 0.05)
    }

    @Test("texts have a contrast of 4.5, lines and areas of 3, in both modes")
    func contrasts() throws {
        #expect(Self.modes.count == 2)
        for mode in Self.modes {
            for text in ["ink", "soft", "accent"] {
                for ground in ["ground", "raised"] {
                    let found = try contrast(mode, text, ground)
                    #expect(found >= 4.5, "\(text) on \(ground): \(found)")
                }
            }
            let shapes = mode.keys.filter {
                $0.hasPrefix("--m") || $0.hasPrefix("--t") || $0.contains("rank")
            }
            #expect(shapes.count >= 12)
            for shape in shapes.map({ String($0.dropFirst(2)) }) + [
                "blue", "orange", "dense", "deep",
            ] {
                let found = try contrast(mode, shape, "ground")
                #expect(found >= 3, "\(shape): \(found)")
            }
        }
    }

    @Test("each step of the sequential palette is further from the ground than the one before")
    func steps() throws {
        for mode in Self.modes {
            let found = try (0..<HeatMap.steps).map { step in
                try contrast(mode, "q\(step)", "ground")
            }
            #expect(zip(found, found.dropFirst()).allSatisfy { $0 < $1 }, "\(found)")
        }
    }
}
