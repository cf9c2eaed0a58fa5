import Text

/// What stands around a tool call in an answer, as the model's template defines it.
package struct ToolCallMarks: Sendable, Equatable {
    package let open: String
    package let close: String

    package init(open: String, close: String) { (self.open, self.close) = (open, close) }

    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`, as Hermes and Qwen have it.
    package static let hermes = ToolCallMarks(open: "<tool_call>", close: "</tool_call>")
}

/// A function that the model wants called.
struct ToolCall: Sendable, Equatable {
    let name: String
    /// A JSON object.
    let arguments: String

    /// - Returns: `nil` where the text is no call.
    init?(_ text: some Collection<UInt8>) {
        guard let json = try? JSON(parsing: Array(text)), let name = json["name"]?.string,
            !name.isEmpty
        else { return nil }
        switch json["arguments"] {
        case nil: arguments = "{}"
        case .object(let members):
            arguments = String(decoding: JSON.object(members).utf8, as: UTF8.self)
        case .some: return nil
        }
        self.name = name
    }
}

/// Takes the calls out of an answer, whatever pieces it comes in. What is not a whole call, with a name and an object of
/// arguments, stays text.
struct ToolCallParser: Sendable {
    enum Piece: Sendable, Equatable {
        case content(String)
        case call(ToolCall)
    }

    private let open: [UInt8]
    private let close: [UInt8]
    /// Text that may be the beginning of a mark, with the blanks in front of it; or all of a call so far.
    private var held: [UInt8] = []
    /// Blanks in front of the call that is being read; they are no content if it is one.
    private var blanks: [UInt8] = []
    private var isInCall = false
    /// Calls so far.
    private(set) var count = 0

    init(_ marks: ToolCallMarks) {
        (open, close) = (Array(marks.open.utf8), Array(marks.close.utf8))
    }

    /// - Returns: what is certain.
    mutating func append(_ text: String) -> [Piece] {
        held += text.utf8
        var pieces: [Piece] = []
        while true {
            if isInCall {
                guard let end = held.firstIndex(of: close) else { return pieces }
                let body = held[..<end]
                add(body, whole: open + body + close, to: &pieces)
                held.removeFirst(end + close.count)
                isInCall = false
            } else if let start = held.firstIndex(of: open) {
                let text = held[..<start]
                let content = text.prefix(text.count - text.trailingBlanks)
                blanks = Array(text[content.endIndex...])
                add(content: content, to: &pieces)
                held.removeFirst(start + open.count)
                isInCall = true
            } else {
                let certain = held.prefix(held.count - held.trailingBeginning(of: open))
                let content = certain.prefix(certain.count - certain.trailingBlanks)
                add(content: content, to: &pieces)
                held.removeFirst(content.count)
                return pieces
            }
        }
    }

    /// Ends the answer.
    mutating func finish() -> [Piece] {
        var pieces: [Piece] = []
        if isInCall {
            // A model may end where the mark is due.
            add(held[...], whole: open + held, to: &pieces)
        } else if count == 0 || held.trailingBlanks < held.count {
            add(content: held[...], to: &pieces)
        }
        (held, isInCall) = ([], false)
        return pieces
    }

    private mutating func add(_ body: ArraySlice<UInt8>, whole: [UInt8], to pieces: inout [Piece]) {
        if let call = ToolCall(body) {
            count += 1
            pieces.append(.call(call))
        } else {
            add(content: (blanks + whole)[...], to: &pieces)
        }
        blanks = []
    }

    private func add(content: ArraySlice<UInt8>, to pieces: inout [Piece]) {
        guard !content.isEmpty else { return }
        pieces.append(.content(String(decoding: content, as: UTF8.self)))
    }
}

extension RandomAccessCollection<UInt8> where Index == Int {
    /// Blanks at the end.
    fileprivate var trailingBlanks: Int {
        reversed().prefix { [0x20, 0x0A, 0x0D, 0x09].contains($0) }.count
    }

    /// Bytes at the end that `mark` begins with, fewer than all of it.
    fileprivate func trailingBeginning(of mark: [UInt8]) -> Int {
        (0..<Swift.min(count + 1, mark.count)).reversed().first {
            mark.prefix($0).elementsEqual(suffix($0))
        } ?? 0
    }

    fileprivate func firstIndex(of mark: [UInt8]) -> Int? {
        guard count >= mark.count else { return nil }
        return (startIndex...(endIndex - mark.count)).first { start in
            self[start] == mark[0] && self[start..<(start + mark.count)].elementsEqual(mark)
        }
    }
}
