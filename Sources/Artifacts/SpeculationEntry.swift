/// What a trained draft brought in one case: a row of what `minima bench decode --draft --json` prints.
package struct SpeculationEntry: Codable, Hashable, Sendable {
    package let variant: ModelVariant
    /// Linear parameters, as a share of the dense model's.
    package let keep: Double
    /// Type of the cached keys and values, as in "bf16".
    package let kv: String
    /// Sequences side by side, and tokens of the prompt of each.
    package let batch: Int
    package let context: Int
    /// Written behind each prompt.
    package let tokens: Int
    /// `nil`: as many as paid.
    package let draftLength: Int?
    package let drafted: Int
    package let accepted: Int
    /// Tokens that a step with a draft brought a sequence.
    package let acceptanceLength: Double
    /// Of drafts as long, the share that was right up to each position.
    package let acceptedShares: [Double]
    /// Of all sequences, prompts not counted.
    package let plainTokensPerSecond: Double
    package let tokensPerSecond: Double
    package let ratioToPlain: Double
    /// Sequences whose text is the same with drafts and without: all of them, or something is wrong.
    package let sameTexts: Int

    package init(
        variant: ModelVariant, keep: Double, kv: String, batch: Int, context: Int, tokens: Int,
        draftLength: Int?, drafted: Int, accepted: Int, acceptanceLength: Double,
        acceptedShares: [Double], plainTokensPerSecond: Double, tokensPerSecond: Double,
        ratioToPlain: Double, sameTexts: Int
    ) {
        (self.variant, self.keep, self.kv) = (variant, keep, kv)
        (self.batch, self.context, self.tokens) = (batch, context, tokens)
        (self.draftLength, self.drafted, self.accepted) = (draftLength, drafted, accepted)
        (self.acceptanceLength, self.acceptedShares) = (acceptanceLength, acceptedShares)
        self.plainTokensPerSecond = plainTokensPerSecond
        (self.tokensPerSecond, self.ratioToPlain) = (tokensPerSecond, ratioToPlain)
        self.sameTexts = sameTexts
    }

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case variant, keep, kv, batch, context, tokens
        case draftLength = "draft_length"
        case drafted, accepted
        case acceptanceLength = "acceptance_length"
        case acceptedShares = "accepted_shares"
        case plainTokensPerSecond = "plain_tokens_per_second"
        case tokensPerSecond = "speculative_tokens_per_second"
        case ratioToPlain = "ratio_to_plain"
        case sameTexts = "same_texts"
    }
}

extension SpeculationEntry {
    private static let largestFile = 16 << 20

    /// Reads and checks what the benchmark printed.
    package static func read(_ path: String) throws(CheckpointError) -> [SpeculationEntry] {
        let bytes = try MappedFile.contents(path, limit: largestFile)
        let expected = "not what `minima bench decode --draft --json` prints"
        let entries: [SpeculationEntry]
        do {
            entries = try StrictJSON.decode([SpeculationEntry].self, from: bytes, of: path)
        } catch .manifest(let file, let reason) {
            throw .manifest(file: file, reason: "\(expected): \(reason)")
        } catch .malformedJSON(let file, let offset, let reason) {
            // A table, say, printed without --json.
            throw .manifest(
                file: file, reason: "\(expected): malformed at byte \(offset): \(reason)")
        }
        guard !entries.isEmpty else {
            throw .manifest(file: path, reason: "\(expected): it holds no measurement")
        }
        for (index, entry) in entries.enumerated() {
            if let fault = entry.fault {
                throw .manifest(file: path, reason: "measurement \(index + 1): \(fault)")
            }
        }
        return entries
    }

    /// What cannot be measured.
    private var fault: ManifestError? {
        let (most, least) = (ManifestError.most, 1e-9)
        let numbers: [(key: CodingKeys, value: Double, range: ClosedRange<Double>)] =
            [
                (.keep, keep, 0...most), (.batch, Double(batch), 1...most),
                (.context, Double(context), 0...most), (.tokens, Double(tokens), 1...most),
                (.draftLength, Double(draftLength ?? 1), 1...most),
                (.drafted, Double(drafted), 0...most),
                (.accepted, Double(accepted), 0...max(0, Double(drafted))),
                (.acceptanceLength, acceptanceLength, 0...most),
                (.plainTokensPerSecond, plainTokensPerSecond, least...most),
                (.tokensPerSecond, tokensPerSecond, least...most),
                (.ratioToPlain, ratioToPlain, least...most),
                (.sameTexts, Double(sameTexts), 0...max(0, Double(batch))),
            ] + acceptedShares.map { (.acceptedShares, $0, 0...1) }
        return numbers.lazy.compactMap {
            ManifestError.quantity($0.key.stringValue, $0.value, outside: $0.range)
        }.first
    }
}
