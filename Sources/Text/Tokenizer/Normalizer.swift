/// What is done to text before it is split: the normalizers that byte-pair tokenizers use, in order.
struct Normalizer: Sendable {
    enum Step: Sendable, Equatable {
        /// Unicode normalisation form C.
        case composed
        /// Put in front of text that is not empty.
        case prepend([UInt8])
        /// Every occurrence, left to right, of a literal (never empty).
        case replace([UInt8], with: [UInt8])
    }

    let steps: [Step]

    /// - Returns: the normalised bytes, or nil when `text` is normal already.
    func normalize(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var current: [UInt8]?
        for step in steps {
            let changed: [UInt8]?
            if let current {
                changed = current.withUnsafeBufferPointer { Self.apply(step, to: $0) }
            } else {
                changed = Self.apply(step, to: text)
            }
            if let changed { current = changed }
        }
        return current
    }

    private static func apply(
        _ step: Step, to text: UnsafeBufferPointer<UInt8>
    ) -> [UInt8]? {
        switch step {
        case .composed: return ComposedForm.compose(text)
        case .prepend(let prefix): return text.isEmpty ? nil : prefix + text
        case .replace(let pattern, let content): return replace(pattern, with: content, in: text)
        }
    }

    static func replace(
        _ pattern: [UInt8], with content: [UInt8], in text: UnsafeBufferPointer<UInt8>
    ) -> [UInt8]? {
        guard let first = pattern.first, text.count >= pattern.count else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(text.count + text.count / 2)
        var copied = 0
        var position = 0
        while position + pattern.count <= text.count {
            if text[position] == first,
                text[position..<position + pattern.count].elementsEqual(pattern)
            {
                output.append(contentsOf: UnsafeBufferPointer(rebasing: text[copied..<position]))
                output.append(contentsOf: content)
                position += pattern.count
                copied = position
            } else {
                position += 1
            }
        }
        if copied == 0 { return nil }
        output.append(contentsOf: UnsafeBufferPointer(rebasing: text[copied...]))
        return output
    }
}
