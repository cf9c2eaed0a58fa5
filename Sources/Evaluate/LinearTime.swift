/// seconds = fixed + slope · values, both from 0, with the least sum of squared relative errors.
struct LinearTime {
    let fixed: Double
    let slope: Double
    /// Root mean square of the relative errors.
    let error: Double

    /// - Parameter points: (values, seconds), at least one, of positive seconds.
    init(_ points: [(values: Double, seconds: Double)]) {
        let points = points.filter { $0.seconds > 0 }
        // In units of the seconds: (fixed/s + slope·v/s − 1)² has normal equations in p = 1/s, q = v/s.
        var (pp, pq, qq, p, q) = (0.0, 0.0, 0.0, 0.0, 0.0)
        for point in points {
            let (a, b) = (1 / point.seconds, point.values / point.seconds)
            (pp, pq, qq) = (pp + a * a, pq + a * b, qq + b * b)
            (p, q) = (p + a, q + b)
        }
        let determinant = pp * qq - pq * pq
        var (fixed, slope) = (0.0, 0.0)
        if points.isEmpty {
            (fixed, slope) = (0, 0)
        } else if determinant > 1e-12 * pp * qq {
            (fixed, slope) = ((p * qq - q * pq) / determinant, (q * pp - p * pq) / determinant)
        } else {
            // One size: its time is taken to follow the values.
            (fixed, slope) = (0, q / qq)
        }
        if slope < 0 { (fixed, slope) = (p / pp, 0) }
        if fixed < 0 { (fixed, slope) = (0, q / qq) }
        (self.fixed, self.slope) = (fixed, slope)
        let squares = points.reduce(0.0) { sum, point in
            let relative = (fixed + slope * point.values) / point.seconds - 1
            return sum + relative * relative
        }
        error = points.isEmpty ? 0 : (squares / Double(points.count)).squareRoot()
    }
}
