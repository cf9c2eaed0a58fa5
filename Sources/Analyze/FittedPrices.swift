import Foundation

/// Price by number of parameters, between a few fitted points: linear in the logarithm of the price, as
/// errors fall about exponentially with the parameters.
struct FittedPrices {
    struct Point {
        let parameters: Int
        let price: Double
    }

    /// From few parameters to many; a larger network never costs more than a smaller one.
    private let points: [Point]

    /// - Parameter fitted: in any order.
    init(_ fitted: [Point]) {
        var least = Double.infinity
        points = fitted.sorted { ($0.parameters, $1.price) < ($1.parameters, $0.price) }.map {
            least = min(least, $0.price)
            return Point(parameters: $0.parameters, price: least)
        }
    }

    /// - Returns: `nil` outside the fitted points.
    func price(at parameters: Int) -> Double? {
        guard let next = points.firstIndex(where: { $0.parameters >= parameters }) else {
            return nil
        }
        let above = points[next]
        guard above.parameters > parameters else { return above.price }
        guard next > 0 else { return nil }
        let below = points[next - 1]
        let share =
            Double(parameters - below.parameters) / Double(above.parameters - below.parameters)
        guard above.price > 0 else { return below.price * (1 - share) }
        return exp(log(below.price) * (1 - share) + log(above.price) * share)
    }
}
