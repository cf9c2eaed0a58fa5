import Foundation

/// Numbers as the page writes them; the same on every machine.
enum NumberText {
    /// A coordinate in an SVG: at most two decimals.
    static func coordinate(_ value: Double) -> String {
        precondition(value.isFinite && abs(value) < 1e9, "\(value) is no place on a page")
        let hundredths = Int((value * 100).rounded())
        let (whole, rest) = (hundredths.magnitude / 100, hundredths.magnitude % 100)
        let sign = hundredths < 0 ? "-" : ""
        guard rest > 0 else { return "\(sign)\(whole)" }
        let decimals = rest % 10 == 0 ? "\(rest / 10)" : (rest < 10 ? "0\(rest)" : "\(rest)")
        return "\(sign)\(whole).\(decimals)"
    }

    /// Digits in groups of three: 1,234,567.
    static func grouped(_ value: Int) -> String {
        var text = ""
        let digits = String(value.magnitude)
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return value < 0 ? "−" + text : text
    }

    /// Three significant digits; very small and very large numbers with a power of ten.
    static func short(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "–" : (value < 0 ? "−∞" : "∞") }
        guard value != 0 else { return "0" }
        // Rounded first: 9.996 has one digit before the point, and 10.0 has two.
        let parts = String(format: "%.2e", abs(value)).split(separator: "e")
        guard parts.count == 2, let exponent = Int(parts[1]) else { return "\(value)" }
        if (-3...4).contains(exponent) {
            return signed(String(format: "%.\(max(0, 2 - exponent))f", abs(value)), value)
        }
        return signed("\(parts[0])×10\(superscript(exponent))", value)
    }

    /// A tick of a logarithmic axis: 0.01, 5, 10⁻⁷, 10⁴.
    static func power(_ value: Double) -> String {
        let exponent = Int((log10(value) + 1e-9).rounded(.down))
        let mantissa = Int((value / pow(10, Double(exponent))).rounded())
        if (-3...3).contains(exponent) {
            return String(format: "%.\(max(0, -exponent))f", value)
        }
        return (mantissa == 1 ? "" : "\(mantissa)×") + "10" + superscript(exponent)
    }

    /// 6.15 MB, in powers of 1,000.
    static func bytes(_ bytes: Int) -> String {
        var (value, unit) = (Double(bytes), 0)
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        while abs(value) >= 999.5, unit < units.count - 1 {
            (value, unit) = (value / 1_000, unit + 1)
        }
        return unit == 0 ? "\(bytes) B" : "\(short(value)) \(units[unit])"
    }

    /// A rise as a percentage with its sign: +16.3%.
    static func rise(_ percent: Double) -> String {
        guard percent < 1e6 else { return "> +10⁶%" }
        let magnitude = abs(percent)
        let decimals = magnitude < 10 ? 2 : (magnitude < 1_000 ? 1 : 0)
        let text = String(format: "%.\(decimals)f", magnitude)
        return (percent < 0 ? "−" : "+") + text + "%"
    }

    static func percent(_ share: Double) -> String { String(format: "%.1f%%", share * 100) }

    /// A setting, as it was given: 0.65. At most six digits.
    static func plain(_ value: Double) -> String {
        String(format: "%.6g", value).replacing("-", with: "−")
    }

    private static func signed(_ text: String, _ value: Double) -> String {
        value < 0 ? "−" + text : text
    }

    private static func superscript(_ value: Int) -> String {
        let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
        return (value < 0 ? "⁻" : "")
            + String(String(value.magnitude).compactMap { $0.wholeNumberValue.map { digits[$0] } })
    }
}
