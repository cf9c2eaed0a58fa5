/// Why a request is not accepted.
package enum SchedulerError: Error, Equatable, CustomStringConvertible {
    case known(RequestID)
    /// It would not fit if it were alone.
    case neverFits(tokens: Int, blocks: Int, available: Int, blockTokens: Int)
    /// As many wait as may.
    case full(Int)

    package var description: String {
        switch self {
        case .known(let id): "\(id) is there already"
        case .neverFits(let tokens, let blocks, let available, let blockTokens):
            "\(tokens) tokens of prompt and answer need \(blocks) cache blocks of \(blockTokens) tokens, and there are \(available)"
        case .full(let count): "\(count) requests are waiting already"
        }
    }
}
