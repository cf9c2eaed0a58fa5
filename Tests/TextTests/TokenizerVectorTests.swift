import Testing

@testable import Text

/// llama.cpp's tokenizer vectors.
@Suite("Tokenizer vectors", .enabled(if: TestData.hasData))
struct TokenizerVectorTests {
    @Test(
        "give the expected ids",
        arguments: [("qwen2", "qwen2"), ("gpt-2", "gpt2"), ("llama-spm", "llama2")])
    func vectors(name: String, folder: String) throws {
        let base = "\(TestData.data)/data/vectors/ggml-vocab-\(name).gguf"
        let tokenizer = try Tokenizer(path: "\(TestData.data)/data/tokenizers/\(folder)")
        let inputs = split(try TestData.bytes("\(base).inp"), at: "\n__ggml_vocab_test__\n")
        let outputs = split(try TestData.bytes("\(base).out"), at: "\n")
        #expect(inputs.count > 40)
        for (input, output) in zip(inputs, outputs) {
            let expected = output.split(separator: 0x20).compactMap {
                TokenID(String(decoding: $0, as: UTF8.self))
            }
            let text = String(decoding: input, as: UTF8.self)
            #expect(tokenizer.encode(text) == expected, "\(text.debugDescription)")
        }
    }

    private func split(_ bytes: [UInt8], at separator: String) -> [ArraySlice<UInt8>] {
        let separator = Array(separator.utf8)
        var parts: [ArraySlice<UInt8>] = []
        var start = 0
        var position = 0
        while position < bytes.count {
            if bytes[position...].starts(with: separator) {
                parts.append(bytes[start..<position])
                position += separator.count
                start = position
            } else {
                position += 1
            }
        }
        if start < bytes.count { parts.append(bytes[start...]) }
        return parts
    }
}
