import Foundation
import Generate

/// How far what was guessed was right.
struct DraftSummary: Encodable {
    /// Tokens that a step with a draft brought on average.
    let acceptanceLength: Double
    let drafts: Int
    let drafted: Int
    let accepted: Int
    /// Of drafts as long, the share that was right up to each position.
    let acceptedShares: [Double]

    init(_ counts: DraftCounts) {
        acceptanceLength = counts.acceptanceLength
        (drafts, drafted, accepted) = (counts.drafts, counts.drafted, counts.accepted)
        acceptedShares = zip(counts.acceptedAt, counts.draftedAt).map {
            Double($0) / Double(max(1, $1))
        }
    }

    var line: String {
        let shares = acceptedShares.map { String(format: "%.0f%%", 100 * $0) }
        return String(
            format: "%d of %d guessed tokens were right: %.2f tokens a step; by position: ",
            accepted,
            drafted, acceptanceLength) + shares.joined(separator: " ")
    }

    private enum CodingKeys: String, CodingKey {
        case drafts, drafted, accepted
        case acceptanceLength = "acceptance_length"
        case acceptedShares = "accepted_shares"
    }
}
