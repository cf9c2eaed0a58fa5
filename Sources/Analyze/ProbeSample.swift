import Artifacts
import Models
import TensorNetworks

/// A candidate of a map that is to be measured.
package struct Probe: Hashable, Sendable {
    /// Place of the matrix in the map.
    package let matrix: Int
    /// Place of the candidate in the matrix.
    package let candidate: Int
}

/// Which candidates are measured. The first N of a longer sample are the sample of N: more probes later
/// use all of those made before.
package enum ProbeSample {
    /// Shares of a matrix's parameters that probes keep.
    package static let shares = [0.5, 0.8, 0.35, 0.65]

    /// Spread over depth, projections and shares: within each round every matrix comes once, depths in
    /// the order of van der Corput's sequence, and its share moves on from round to round.
    package static func stratified(
        _ map: SensitivityMap, count: Int, seed: UInt64 = 0
    ) -> [Probe] {
        var places: [MatrixPlace: Int] = [:]
        for (index, matrix) in map.matrices.enumerated() where !matrix.candidates.isEmpty {
            if let place = MatrixPlace(name: matrix.name) { places[place] = index }
        }
        let layers = (places.keys.map(\.layer).max() ?? -1) + 1
        let depths = vanDerCorput(layers)
        let projections = Projection.allCases
        let start = Int(seed % 1_009)
        var sample: [Probe] = []
        var taken: Set<Probe> = []
        for round in shares.indices {
            for step in 0..<layers {
                for (column, projection) in projections.enumerated() {
                    guard sample.count < count else { return sample }
                    // Projections begin at different depths, so that few probes still see all depths.
                    let turn = (step + start + column * layers / projections.count) % layers
                    let layer = depths[turn]
                    guard
                        let index = places[MatrixPlace(layer: layer, projection: projection)]
                    else { continue }
                    let share = shares[(round + step + column + start) % shares.count]
                    let matrix = map.matrices[index]
                    guard
                        let candidate = candidate(
                            of: matrix, keeping: share, turn: sample.count)
                    else { continue }
                    let probe = Probe(matrix: index, candidate: candidate)
                    if taken.insert(probe).inserted { sample.append(probe) }
                }
            }
        }
        return sample
    }

    /// Every matrix at every share: what a prediction is judged by.
    /// - Parameter ofEveryFamily: in every family of formats that the map has, else in the low ranks.
    package static func complete(
        _ map: SensitivityMap, shares: [Double], ofEveryFamily: Bool = false
    ) -> [Probe] {
        map.matrices.enumerated().flatMap { index, matrix -> [Probe] in
            let (main, others) = families(of: matrix)
            var found: [Int] = []
            for kind in [main].compactMap({ $0 }) + (ofEveryFamily ? others : []) {
                for share in shares {
                    if let best = candidate(of: matrix, kind, keeping: share),
                        !found.contains(best)
                    {
                        found.append(best)
                    }
                }
            }
            return found.map { Probe(matrix: index, candidate: $0) }
        }
    }

    /// Every fourth turn takes another family than the low ranks where there is one.
    private static func candidate(
        of matrix: MatrixSensitivity, keeping share: Double, turn: Int
    ) -> Int? {
        let (main, others) = families(of: matrix)
        let kind = turn % 4 == 3 && !others.isEmpty ? others[turn / 4 % others.count] : main
        return kind.flatMap { candidate(of: matrix, $0, keeping: share) }
    }

    /// The low ranks, or what comes first where there are none, and the other families.
    private static func families(
        of matrix: MatrixSensitivity
    ) -> (main: Format.Kind?, others: [Format.Kind]) {
        let kinds = Set(matrix.candidates.map(\.format.kind)).sorted { $0.rawValue < $1.rawValue }
        let main =
            [Format.Kind.pivotedLowRank, .lowRank].first(where: kinds.contains) ?? kinds.first
        return (main, kinds.filter { $0 != main })
    }

    /// The largest candidate of a family that keeps at most this share, else the smallest there is.
    private static func candidate(
        of matrix: MatrixSensitivity, _ kind: Format.Kind, keeping share: Double
    ) -> Int? {
        let family = matrix.candidates.indices.filter { matrix.candidates[$0].format.kind == kind }
            .sorted { matrix.candidates[$0].parameters < matrix.candidates[$1].parameters }
        let budget = Int(share * Double(matrix.rows * matrix.columns))
        return family.last { matrix.candidates[$0].parameters <= budget } ?? family.first
    }

    /// 0..<count in the order of their bits reversed: any first few are spread evenly.
    private static func vanDerCorput(_ count: Int) -> [Int] {
        func reversed(_ number: Int) -> UInt {
            var (rest, result) = (UInt(number), UInt(0))
            for _ in 0..<UInt.bitWidth {
                result = result << 1 | rest & 1
                rest >>= 1
            }
            return result
        }
        return (0..<count).sorted { reversed($0) < reversed($1) }
    }
}
