import Foundation
import Testing

@testable import Evaluate

/// Prompts of made-up documents, written out by hand from the harness' task files.
@Suite("Task documents")
struct TaskDocumentTests {
    private func decode<Document: TaskDocument>(_: Document.Type, _ json: String) throws -> Document
    {
        try JSONDecoder().decode(Document.self, from: Data(json.utf8))
    }

    private func choices(
        _ context: String, _ continuations: [String], _ lengths: [Int], _ gold: Int
    )
        -> TaskQuery
    {
        .choice(
            continuations.map { PromptPair(context: context, continuation: $0) }, lengths: lengths,
            gold: gold)
    }

    @Test("LAMBADA asks for the last word")
    func lambada() throws {
        let expected = TaskQuery.continuation(
            PromptPair(context: "He said  to", continuation: " her."))
        let text = try decode(LambadaDocument.self, #"{"text": "He said  to her."}"#)
        #expect(text.query(after: "") == expected)
        #expect(text.example == "He said  to  her.\n\n")
        let parts = try decode(
            LambadaDocument.self, #"{"context": "He said  to", "continuation": "her."}"#)
        #expect(parts.query(after: "") == expected)
        #expect(parts.fault == nil)
        #expect(try decode(LambadaDocument.self, #"{"text": "ends "}"#).fault != nil)
    }

    @Test("HellaSwag joins label and context, and takes marks out")
    func hellaswag() throws {
        let hub = try decode(
            HellaSwagDocument.self,
            """
            {"activity_label": "Cooking", "ctx_a": "A pan. [title] How  to", "ctx_b": "the COOK",
             "endings": [" eats [step] it.", "é", "ends", "x"], "label": "1", "ind": 3}
            """)
        #expect(hub.fault == nil)
        // Lengths are characters, not bytes.
        #expect(
            hub.query(after: "")
                == choices(
                    "Cooking: A pan.. How to The cook", [" eats it.", " é", " ends", " x"],
                    [8, 1, 4, 1], 1))
        let joined = try decode(
            HellaSwagDocument.self,
            #"{"activity_and_ctx": "Cooking: A pan.", "endings": ["a", "b"], "label": 0}"#)
        #expect(
            joined.query(after: "P ") == choices("P Cooking: A pan.", [" a", " b"], [1, 1], 0))
        #expect(joined.example == "Cooking: A pan. a\n\n")
        let wrong = try decode(
            HellaSwagDocument.self,
            #"{"activity_and_ctx": "A: b", "endings": ["a", "b"], "label": 2}"#)
        #expect(wrong.fault?.contains("label 2") == true)
    }

    @Test(
        "brackets are cut as by the expression \\[.*?\\]",
        arguments: [
            ("a [b] c", "a c"), ("[x\ny] z] w", "[x\ny] z] w"), ("[[a]b]", "b]"),
            ("[ [header] x [unclosed", " x [unclosed"), (" \u{2003}a   b\u{A0}", "a  b"),
        ])
    func brackets(_ text: String, _ expected: String) {
        #expect(HellaSwagDocument.cleaned(text) == expected)
    }

    @Test("ARC finds the answer by its label")
    func arc() throws {
        let document = try decode(
            ARCDocument.self,
            """
            {"id": "a", "question": "Why?", "answerKey": "3",
             "choices": {"text": ["so", "not", "because"], "label": ["1", "2", "3"]}}
            """)
        #expect(document.fault == nil)
        #expect(
            document.query(after: "")
                == choices(
                    "Question: Why?\nAnswer:", [" so", " not", " because"], [2, 3, 7], 2))
        #expect(document.example == "Question: Why?\nAnswer: because\n\n")
    }

    @Test("WinoGrande scores what stands behind the blank")
    func winogrande() throws {
        let document = try decode(
            WinoGrandeDocument.self,
            """
            {"sentence": "Ann met Bea, and _ was glad.", "option1": "Ann", "option2": "Bea",
             "answer": "2"}
            """)
        #expect(document.fault == nil)
        guard case .choice(let pairs, _, let gold) = document.query(after: "") else {
            Issue.record("not a choice")
            return
        }
        #expect(gold == 1)
        #expect(pairs.map(\.context) == ["Ann met Bea, and Ann", "Ann met Bea, and Bea"])
        #expect(pairs.map(\.continuation) == [" was glad.", " was glad."])
        #expect(document.example == "Ann met Bea, and Bea was glad.\n\n")
        let none = #"{"sentence": "A.", "option1": "a", "option2": "b", "answer": "1"}"#
        #expect(try decode(WinoGrandeDocument.self, none).fault != nil)
    }

    @Test("MMLU's choices are letters behind a header with the subject")
    func mmlu() throws {
        let document = try decode(
            MMLUDocument.self,
            """
            {"question": " 1+1? ", "subject": "high_school_us_history",
             "choices": ["1", "2", "3", "4"], "answer": 1}
            """)
        #expect(document.fault == nil)
        let prompt = "1+1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
        #expect(
            document.query(after: "H")
                == choices(
                    "H" + prompt, [" A", " B", " C", " D"], [1, 1, 1, 1], 1))
        #expect(document.example == prompt + " B\n\n")
        #expect(
            MMLUDocument.description(of: document.subject)
                == "The following are multiple choice questions (with answers) about high school us history.\n\n"
        )
    }

    @Test("GSM8K's prompt")
    func gsm8k() throws {
        let document = try decode(
            GSM8KDocument.self, ##"{"question": "How many?", "answer": "1+1=2\n#### 2"}"##)
        #expect(
            document.query(after: "")
                == .generation(prompt: "Question: How many?\nAnswer:", gold: "1+1=2\n#### 2"))
        #expect(document.example == "Question: How many?\nAnswer: 1+1=2\n#### 2\n\n")
    }

    @Test(
        "numbers are found as by the harness' filters",
        arguments: [
            ("so 3 is\n#### 1,200. Or #### 7", "1,200.", "7"), ("#### -5", "-5", "-5"),
            ("it costs $1,234.50.", nil, "$1,234.50."), ("####12 and 8", nil, "8"),
            ("nothing", nil, nil), ("a 7 b .", nil, "7"), ("...", nil, "..."),
        ])
    func numbers(_ response: String, _ strict: String?, _ flexible: String?) {
        #expect(NumberExtraction.strict.number(in: response) == strict)
        #expect(NumberExtraction.flexible.number(in: response) == flexible)
    }

    @Test(
        "numbers are compared without commas, dollars and the final dot",
        arguments: [
            ("#### 1,200.", "x\n#### 1200", true), ("#### 12", "#### 13", false),
            ("#### 0.5", "#### .5", false), ("none", "#### 1", false),
            ("#### 18", "The $ and #### 4\n#### 18", true),
        ])
    func comparison(_ response: String, _ gold: String, _ same: Bool) {
        #expect(NumberExtraction.strict.matches(response, gold: gold) == same)
    }

    @Test("text is stripped and capitalised as in Python")
    func python() {
        #expect("\u{1C}\u{2003}a b\u{A0}\u{85}".stripped == "a b")
        #expect("a\u{200B} ".strippedAtEnd == "a\u{200B}")
        #expect(" \n".strippedAtEnd.isEmpty)
        #expect("ǆUNGLA Is".capitalizedAsSentence == "ǅungla is")
        #expect("aaa".replacing(every: "aa", by: "b") == "ba")
        // A combining mark does not hide the character that it stands on.
        #expect("a_\u{301}b".replacing(every: "_", by: " ") == "a \u{301}b")
    }

    /// Values of CPython 3.11: `random.Random(1234)`.
    @Test("examples are drawn as CPython draws them")
    func random() {
        var random = PythonRandom(seed: 1234)
        #expect(random.sample(5, of: 7473) == [6374, 3610, 957, 61, 742])
        #expect(random.sample(5, of: 7473) == [7462, 6610, 4769, 286, 5501])
        #expect(random.sample(3, of: 12) == [11, 1, 10])
        #expect(random.sample(8, of: 40) == [22, 15, 1, 37, 36, 39, 30, 29])
        #expect(random.sample(6, of: 300) == [76, 46, 93, 58, 7, 257])
        #expect(
            (0..<3).map { _ in random.next() } == [2_090_581_934, 3_781_591_665, 4_144_220_671])
        var other = PythonRandom(seed: 1234)
        #expect((0..<700).map { _ in other.next() }.last == 2_395_385_490)
    }
}
