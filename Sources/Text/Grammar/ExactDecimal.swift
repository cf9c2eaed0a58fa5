/// A decimal number as it is written, without the rounding of binary fractions: `digits` / 10^`places`.
struct ExactDecimal: Equatable {
    let digits: Int
    /// 0 or more; the last digit is not 0 where there are any.
    let places: Int

    /// - Parameter text: a JSON number; nil where it has more digits than an `Int`.
    init?(_ text: String) {
        let parts = text.lowercased().split(separator: "e", omittingEmptySubsequences: false)
        let halves = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let exponent = parts.count > 1 ? Int(parts[1]) : 0
        guard let exponent, abs(exponent) < 40,
            var digits = Int(halves[0] + (halves.count > 1 ? halves[1] : ""))
        else { return nil }
        var places = (halves.count > 1 ? halves[1].utf8.count : 0) - exponent
        while places > 0, digits.isMultiple(of: 10) { (digits, places) = (digits / 10, places - 1) }
        while places < 0 {
            let (more, overflows) = digits.multipliedReportingOverflow(by: 10)
            guard !overflows else { return nil }
            (digits, places) = (more, places + 1)
        }
        (self.digits, self.places) = (digits, digits == 0 ? 0 : places)
    }
}
