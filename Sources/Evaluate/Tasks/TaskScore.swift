import Artifacts
import Foundation

extension TaskScore {
    /// - Parameters:
    ///   - parts: the model's answers, by part of the task; each part has some.
    ///   - reference: the reference's answers to the same documents.
    init(_ task: String, _ parts: [[TaskItem]], reference: [[TaskItem]]?) {
        let agreement = reference.map { reference in
            let decisions = zip(parts.joined(), reference.joined()).map {
                ($0.decisions, $1.decisions)
            }
            let names = decisions.first?.0.keys.sorted() ?? []
            return Dictionary(
                uniqueKeysWithValues: names.map { name in
                    let same = decisions.count { $0[name] == $1[name] }
                    return (name, Double(same) / Double(decisions.count))
                })
        }
        self.init(
            task: task, items: parts.reduce(0) { $0 + $1.count }, metrics: Self.metrics(parts),
            referenceMetrics: reference.map(Self.metrics), agreement: agreement)
    }

    private static func metrics(_ parts: [[TaskItem]]) -> [String: Double] {
        var results: [String: Double] = [:]
        for name in parts.first?.first?.metrics.keys.sorted() ?? [] {
            let samples = parts.map { $0.compactMap { $0.metrics[name] } }.map(Sample.init)
            let count = samples.reduce(0) { $0 + $1.count }
            let mean = samples.reduce(0) { $0 + $1.mean * Double($1.count) } / Double(count)
            let error = Sample.pooledError(samples)
            let errorName = name.replacing(every: ",", by: "_stderr,")
            if name.begins(with: "perplexity") {
                results[name] = exp(-mean)
                // To first order; the harness draws bootstrap samples instead.
                results[errorName] = error.map { exp(-mean) * $0 }
            } else {
                results[name] = mean
                results[errorName] = error
            }
        }
        return results
    }
}

/// Values whose mean is taken.
private struct Sample {
    let count: Int
    let mean: Double
    /// Of the mean; nil for a single value, which says nothing about its error.
    let error: Double?

    init(_ values: [Double]) {
        let (count, mean) = (values.count, values.reduce(0, +) / Double(values.count))
        (self.count, self.mean) = (count, mean)
        guard count > 1 else {
            error = nil
            return
        }
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        error = (squares / Double(count - 1) / Double(count)).squareRoot()
    }

    /// Error of the mean over all samples' values, from the variances within them
    /// (https://en.wikipedia.org/wiki/Pooled_variance), as the harness has it for groups of tasks.
    static func pooledError(_ samples: [Sample]) -> Double? {
        let errors = samples.compactMap(\.error)
        guard errors.count == samples.count else { return nil }
        let count = samples.reduce(0) { $0 + $1.count }
        let squares = zip(samples, errors).reduce(0.0) { sum, pair in
            let size = Double(pair.0.count)
            return sum + (size - 1) * size * pair.1 * pair.1
        }
        return (squares / Double(count - samples.count) / Double(count)).squareRoot()
    }
}
