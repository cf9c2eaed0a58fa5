/// Metrics of some documents, with standard errors, by the harness' names.
package struct TaskScore: Codable, Sendable {
    /// The task, a group of its subjects, or a subject.
    package let task: String
    /// Documents.
    package let items: Int
    package let metrics: [String: Double]
    package let referenceMetrics: [String: Double]?
    /// Share of the documents for which model and reference decide the same, by the metric that judges it.
    package let agreement: [String: Double]?

    private enum CodingKeys: String, CodingKey {
        case task, items, metrics, agreement
        case referenceMetrics = "reference_metrics"
    }

    package init(
        task: String, items: Int, metrics: [String: Double],
        referenceMetrics: [String: Double]?, agreement: [String: Double]?
    ) {
        self.task = task
        self.items = items
        self.metrics = metrics
        self.referenceMetrics = referenceMetrics
        self.agreement = agreement
    }
}
