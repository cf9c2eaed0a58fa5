import Glibc
import Tensors
import Testing

@testable import Artifacts

@Suite("Safetensors headers are not believed")
struct SafetensorsHeaderTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    /// The error of opening a file of these bytes.
    func fault(_ bytes: [UInt8]) throws -> CheckpointError? {
        try folder.write(bytes, to: "x.safetensors")
        do {
            _ = try SafetensorsFile(folder.file("x.safetensors"))
            return nil
        } catch {
            #expect(!error.description.contains("\n"))
            #expect(error.description.contains("x.safetensors"))
            return error
        }
    }

    var path: String { folder.file("x.safetensors") }

    func fault(header: String, data: Int) throws -> CheckpointError? {
        try fault(RawSafetensors.bytes(header, data: data))
    }

    @Test("a file too short for its header")
    func truncated() throws {
        #expect(try fault([]) == .truncated(file: path, bytes: 0, needed: 8))
        #expect(try fault([1, 2, 3]) == .truncated(file: path, bytes: 3, needed: 8))
        #expect(
            try fault(RawSafetensors.bytes("{}", data: 0, length: 3))
                == .truncated(file: path, bytes: 10, needed: 11))
        let whole = RawSafetensors.bytes(
            "{" + RawSafetensors.entry("a", "F32", [2], 0, 8) + "}", data: 8)
        #expect(try fault(whole) == nil)
        for length in 0..<whole.count {
            #expect(try fault(Array(whole.prefix(length))) != nil, "cut at \(length)")
        }
    }

    @Test("a header longer than the limit", arguments: [100_000_001, UInt64(1) << 63, UInt64.max])
    func oversized(length: UInt64) throws {
        #expect(
            try fault(RawSafetensors.bytes("{}", data: 0, length: length))
                == .headerLength(file: path, bytes: length, limit: 100_000_000))
    }

    @Test("tensors that overlap, leave gaps, or leave the file")
    func layout() throws {
        let a = RawSafetensors.entry("a", "F32", [2], 0, 8)
        #expect(
            try fault(header: "{\(a),\(RawSafetensors.entry("b", "F32", [1], 4, 8))}", data: 8)
                == .notContiguous(tensor: "b", start: 4, expected: 8, file: path))
        #expect(
            try fault(header: "{\(a),\(RawSafetensors.entry("b", "F32", [1], 12, 16))}", data: 16)
                == .notContiguous(tensor: "b", start: 12, expected: 8, file: path))
        #expect(
            try fault(header: "{\(RawSafetensors.entry("a", "U8", [1], 1, 2))}", data: 2)
                == .notContiguous(tensor: "a", start: 1, expected: 0, file: path))
        #expect(try fault(header: "{\(a)}", data: 9) == .uncovered(file: path, bytes: 1))
        #expect(
            try fault(header: "{\(a)}", data: 7)
                == .outsideFile(tensor: "a", offsets: [0, 8], dataBytes: 7, file: path))
        #expect(
            try fault(header: "{\(RawSafetensors.entry("a", "U8", [2], 4, 2))}", data: 4)
                == .outsideFile(tensor: "a", offsets: [4, 2], dataBytes: 4, file: path))
    }

    @Test("shapes and types that do not make the bytes")
    func sizes() throws {
        #expect(
            try fault(header: "{\(RawSafetensors.entry("a", "F16", [3], 0, 8))}", data: 8)
                == .byteCount(tensor: "a", found: 8, expected: 6, file: path))
        for shape in [[Int.max, 2], [1 << 31, 1 << 31, 2], [Int.max, Int.max]] {
            #expect(
                try fault(header: "{\(RawSafetensors.entry("a", "F32", shape, 0, 8))}", data: 8)
                    == .shapeOverflow(tensor: "a", shape: shape, file: path))
        }
        for type in ["F8_E8M0", "F4", "C64", "f32", "", "I4"] {
            #expect(
                try fault(header: "{\(RawSafetensors.entry("a", type, [8], 0, 8))}", data: 8)
                    == .unsupportedElementType(tensor: "a", type: type, file: path))
        }
    }

    @Test("names that come twice")
    func duplicates() throws {
        let a = RawSafetensors.entry("a", "F32", [2], 0, 8)
        #expect(
            try fault(header: "{\(a),\(RawSafetensors.entry("a", "F32", [2], 8, 16))}", data: 16)
                == .duplicateTensor("a", file: path))
        #expect(try fault(header: "{\(a),\(a)}", data: 8) != nil)
        let escaped = RawSafetensors.entry("\\u0061", "F32", [2], 8, 16)
        #expect(
            try fault(header: "{\(a),\(escaped)}", data: 16) == .duplicateTensor("a", file: path))
    }

    @Test(
        "JSON that is not a header",
        arguments: [
            "", " ", "[]", "null", "{", "{}}", "{} x", "{\"a\":1}", "{\"a\":{}}", "{\"a\":null}",
            "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{},\"__metadata__\":{}}",
            "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[01],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":0}}",
            "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],}}",
            "{\"\\ud800\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
            "{\"\\x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
            "{\"a\n\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        ])
    func malformed(header: String) throws {
        guard case .malformedJSON(path, let offset, _)? = try fault(header: header, data: 1) else {
            Issue.record("\(header) was not refused as malformed")
            return
        }
        #expect((8...8 + header.utf8.count).contains(offset))
    }

    @Test("bytes that are not UTF-8, and nesting without end")
    func hostile() throws {
        let name = Array("{\"".utf8) + [0xC3, 0x28] + Array("\":{}}".utf8)
        #expect(try fault(RawSafetensors.bytes(name, data: 0)) != nil)
        for opening in ["[", "{\"a\":"] {
            let deep = String(repeating: opening, count: 1_000_000)
            #expect(try fault(header: deep, data: 0) != nil)
            #expect(throws: CheckpointError.self) {
                _ = try JSONValue(parsing: Array(deep.utf8), of: "deep.json")
            }
        }
        let manyDimensions = RawSafetensors.entry(
            "a", "U8", Array(repeating: 1, count: 100_000), 0, 1)
        #expect(try fault(header: "{\(manyDimensions)}", data: 1) != nil)
    }

    @Test("a name with line breaks still makes an error of one line")
    func oneLine() throws {
        let entry = RawSafetensors.entry("a\\nb\\u2028c", "F4", [1], 0, 1)
        let fault = try #require(try fault(header: "{\(entry)}", data: 1))
        #expect(!fault.description.unicodeScalars.contains { $0 == "\n" || $0 == "\u{2028}" })
    }

    @Test("metadata is kept; unaligned data are read right")
    func unaligned() throws {
        let header =
            "{\"__metadata__\":{\"format\":\"pt\"},"
            + RawSafetensors.entry("b", "U8", [1], 0, 1) + ","
            + RawSafetensors.entry("f", "F32", [2], 1, 9) + "}"
        var bytes = RawSafetensors.bytes(header, data: 9)
        bytes.replaceSubrange(
            (bytes.count - 8)..., with: [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0])
        try folder.write(bytes, to: "x.safetensors")
        let file = try SafetensorsFile(path)
        #expect(file.metadata == ["format": "pt"])
        #expect(try file.tensor(named: "f").elements(as: Float.self) == [1, -2])
        #expect(throws: CheckpointError.missingTensor("none", file: path)) {
            _ = try file.tensor(named: "none")
        }
    }

    @Test("files that cannot be read name their cause")
    func unreadable() throws {
        #expect(
            throws: CheckpointError.unreadable(file: path, SystemFault(code: ENOENT))
        ) { _ = try SafetensorsFile(path) }
        #expect(
            throws: CheckpointError.unreadable(file: folder.path, SystemFault(code: EISDIR))
        ) { _ = try SafetensorsFile(folder.path) }
    }
}
