import Foundation

@testable import Evaluate

/// A folder with made-up documents of every task.
struct TaskFiles {
    let folder: TemporaryFolder
    var path: String { folder.path }

    init() throws {
        folder = try TemporaryFolder()
        try write(
            "lambada/test.jsonl",
            #"{"text": "He went to the house and opened the door of the house"}"#,
            #"{"context": "The man said that he was", "continuation": "afraid"}"#,
            "", #"{"text": "She was the daughter of the king"}"#)
        try write(
            "hellaswag/validation.jsonl",
            Self.hellaswag("A man sits down. He", "starts to eat.", "flies off.", 0),
            Self.hellaswag("A dog runs. It", "reads the news.", "barks at a cat.", 1))
        try write(
            "arc-challenge/test.jsonl",
            """
            {"id": "1", "question": "What is cold?", "answerKey": "B",
             "choices": {"text": ["fire", "ice", "the sun"], "label": ["A", "B", "C"]}}
            """)
        try write(
            "winogrande/validation.jsonl",
            """
            {"sentence": "The cup fell on the stone and _ broke.", "option1": "the cup",
             "option2": "the stone", "answer": "1"}
            """)
        for (file, count) in [("dev", 5), ("test", 3)] {
            let documents = ["anatomy", "law"].flatMap { subject in
                (0..<(subject == "law" && file == "test" ? 1 : count)).map {
                    Self.mmlu(subject, $0)
                }
            }
            try write("mmlu/\(file).jsonl", documents)
        }
        let sums = (0..<8).map {
            ##"{"question": "What is \##($0) and 1?", "answer": "It is \##($0 + 1).\n#### \##($0 + 1)"}"##
        }
        try write("gsm8k/train.jsonl", sums)
        try write("gsm8k/test.jsonl", Array(sums.prefix(2)))
    }

    func write(_ name: String, _ lines: String...) throws { try write(name, lines) }

    func write(_ name: String, _ lines: [String]) throws {
        let file = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        let text = lines.map { $0.replacingOccurrences(of: "\n", with: "") + "\n" }.joined()
        try Data(text.utf8).write(to: file)
    }

    private static func hellaswag(_ context: String, _ a: String, _ b: String, _ label: Int)
        -> String
    {
        """
        {"activity_label": "Life", "ctx_a": "\(context)", "ctx_b": "", "endings": ["\(a)", "\(b)"],
         "label": "\(label)"}
        """
    }

    private static func mmlu(_ subject: String, _ index: Int) -> String {
        let name = subject == "law" ? "professional_law" : subject
        return """
            {"question": "Which is number \(index)?", "subject": "\(name)",
             "choices": ["the first", "the second", "the third", "the last"], "answer": \(index % 4)}
            """
    }
}
