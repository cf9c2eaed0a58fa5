// What no other server has names for.
extension Metrics {
    /// Which of two models answers.
    func exposition(_ state: ModelExchange.State) -> String {
        let active = ModelChoice.allCases.map { choice in
            (",choice=\"\(choice.rawValue)\"", choice == state.active ? 1.0 : 0)
        }
        return lines("model_active", "gauge", "1 for the model that answers.", active)
            + lines(
                "model_changing", "gauge", "1 while another model is made ready.",
                [("", state.target == nil ? 0 : 1)])
            + lines(
                "model_changes_total", "counter", "Changes of the model, by what came of them.",
                [
                    (",outcome=\"done\"", Double(state.changes)),
                    (",outcome=\"failed\"", Double(state.failures)),
                ])
    }

    /// How far the served model agrees with the one in its shadow.
    func exposition(_ counts: Shadow.Counts) -> String {
        let tokens = Double(max(1, counts.tokens))
        return lines(
            "shadow_answers_total", "counter", "Sampled answers, by what became of them.",
            [
                (",outcome=\"scored\"", Double(counts.scored)),
                (",outcome=\"dropped\"", Double(counts.dropped)),
                (",outcome=\"failed\"", Double(counts.failed)),
            ])
            + lines(
                "shadow_tokens_total", "counter", "Tokens of answers that were compared.",
                [("", Double(counts.tokens))])
            + lines(
                "shadow_agreed_tokens_total", "counter",
                "Of them, where both models find the same token likeliest.",
                [("", Double(counts.agreements))])
            + lines(
                "shadow_divergence_nats_total", "counter", "Sum over them of KL(dense, served).",
                [("", counts.divergence)])
            + lines(
                "shadow_agreement", "gauge", "Share of the tokens that agree.",
                [("", Double(counts.agreements) / tokens)])
            + lines(
                "shadow_kl_mean", "gauge", "Mean KL(dense, served), nats per token.",
                [("", counts.divergence / tokens)])
    }

    private func lines(
        _ name: String, _ kind: String, _ help: String, _ values: [(String, Double)]
    ) -> String {
        values.reduce("# HELP minima:\(name) \(help)\n# TYPE minima:\(name) \(kind)\n") {
            $0 + "minima:\(name){\(labels)\($1.0)} \($1.1)\n"
        }
    }
}
