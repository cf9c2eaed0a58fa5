/// What one model answered to one document; one JSON object per line of an items file.
package struct TaskItem: Codable, Sendable, Equatable {
    /// Folder of the model.
    package let model: String
    /// The harness' name of the task, or of the subject.
    package let task: String
    /// Number of the document in its task, from 0.
    package let document: Int
    /// Hash of all that was asked, examples included.
    let question: String
    /// The right choice, where there are choices.
    package private(set) var gold: Int?
    /// The likeliest choice, by its continuation's log-probability.
    package private(set) var choice: Int?
    /// The likeliest choice, by log-probability per character.
    package private(set) var normalizedChoice: Int?
    /// In nats, one per choice.
    package private(set) var logLikelihoods: [Double]?
    /// Whether greedy decoding would write the choice.
    package private(set) var greedy: [Bool]?
    /// What the model wrote.
    package private(set) var response: String?
    /// The numbers found in it, by the name of the filter.
    package private(set) var numbers: [String: String]?
    /// By the harness' names: "acc,none". A perplexity's value is its log-probability.
    package private(set) var metrics: [String: Double] = [:]

    private enum CodingKeys: String, CodingKey {
        case model, task, question, gold, choice, greedy, response, numbers, metrics
        case document = "doc_id"
        case normalizedChoice = "choice_norm"
        case logLikelihoods = "loglikelihoods"
    }

    /// - Parameter isNormalized: whether the task is also scored by log-probability per character.
    init(
        model: String, task: String, document: Int, _ likelihoods: [Likelihood],
        to query: TaskQuery, isNormalized: Bool
    ) {
        (self.model, self.task, self.document) = (model, task, document)
        question = query.hash
        let values = likelihoods.map(\.logProbability)
        logLikelihoods = values
        greedy = likelihoods.map(\.isGreedy)
        switch query {
        case .choice(_, let lengths, let gold):
            let choice = Self.indexOfLargest(values)
            self.gold = gold
            self.choice = choice
            metrics["acc,none"] = choice == gold ? 1 : 0
            if isNormalized {
                let normalized = Self.indexOfLargest(
                    zip(values, lengths).map { $0 / Double($1) })
                normalizedChoice = normalized
                metrics["acc_norm,none"] = normalized == gold ? 1 : 0
            }
        case .continuation:
            metrics = ["acc,none": greedy == [true] ? 1 : 0, "perplexity,none": values[0]]
        case .generation: preconditionFailure("a response is not a likelihood")
        }
    }

    /// - Parameter gold: the reference's whole answer.
    init(
        model: String, task: String, document: Int, response: String, to query: TaskQuery,
        gold: String
    ) {
        (self.model, self.task, self.document) = (model, task, document)
        question = query.hash
        self.response = response
        var numbers: [String: String] = [:]
        for filter in NumberExtraction.allCases {
            numbers[filter.rawValue] = filter.number(in: response)
            metrics["exact_match,\(filter.rawValue)"] =
                filter.matches(response, gold: gold) ? 1 : 0
        }
        self.numbers = numbers
    }

    /// What the model decided, by the name of the metric that judges it.
    var decisions: [String: String] {
        var decisions: [String: String] = [:]
        for metric in metrics.keys {
            switch metric {
            case "acc,none": decisions[metric] = choice.map { "\($0)" } ?? "\(greedy ?? [])"
            case "acc_norm,none": decisions[metric] = normalizedChoice.map { "\($0)" }
            case "perplexity,none": continue
            default:
                let filter = metric.split(separator: ",").last.map { String($0) } ?? ""
                decisions[metric] = numbers?[filter] ?? ""
            }
        }
        return decisions
    }

    /// The first of the largest, as numpy's `argmax`.
    private static func indexOfLargest(_ values: [Double]) -> Int {
        var best = 0
        for index in values.indices where values[index] > values[best] { best = index }
        return best
    }
}
