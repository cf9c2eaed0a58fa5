/// `length` input tokens and, for each of them, the token that follows it.
package struct TokenWindow: Sendable, Equatable {
    /// `length + 1` tokens.
    package let tokens: [TokenID]

    /// `[length]`
    package var inputs: ArraySlice<TokenID> { tokens.dropLast() }
    /// `[length]`; target i is the token after input i.
    package var targets: ArraySlice<TokenID> { tokens.dropFirst() }
}

/// Windows over the tokens of a corpus: window i holds tokens `i * stride ... i * stride + length`.
/// The last, partial window is dropped. Documents are encoded only as far as windows are asked for.
package struct TokenWindows {
    package let length: Int
    package let stride: Int
    private var stream: TokenStream
    /// Tokens from the start of the next window on, after `skipped` ones that no window needs.
    private var buffer: [TokenID] = []
    private var start = 0

    /// - Parameters:
    ///   - length: inputs of a window, at least 1.
    ///   - stride: distance of neighbouring windows, at least 1; by default `length`: no overlap.
    package init(_ stream: TokenStream, length: Int, stride: Int? = nil) {
        precondition(length > 0, "a window of \(length) tokens")
        precondition(stride ?? 1 > 0, "windows \(stride ?? 1) tokens apart")
        self.stream = stream
        self.length = length
        self.stride = stride ?? length
    }

    /// The next window, nil after the last whole one.
    package mutating func next() throws(CorpusError) -> TokenWindow? {
        while buffer.count - start < length + 1 {
            guard let tokens = try stream.nextDocument() else { return nil }
            let used = min(start, buffer.count)
            buffer.removeSubrange(..<used)
            start -= used
            buffer.append(contentsOf: tokens)
        }
        defer { start += stride }
        return TokenWindow(tokens: Array(buffer[start...start + length]))
    }

    /// The next `count` windows, or as many as there are.
    package mutating func next(_ count: Int) throws(CorpusError) -> [TokenWindow] {
        var windows: [TokenWindow] = []
        while windows.count < count, let window = try next() { windows.append(window) }
        return windows
    }
}
