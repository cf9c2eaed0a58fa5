import FoundationEssentials
import Testing

@testable import Artifacts

@Suite("JSONValue")
struct JSONValueTests {
    @Test("a value equals what is read from what was written, whole numbers too")
    func roundTrip() throws {
        let value = JSONValue.object([
            "anchor": .number(1), "steps": .integer(3), "rate": .number(1e-4), "none": .null,
            "list": .array([.number(-2), .bool(true), .string("1")]),
        ])
        let read = try JSONValue(parsing: StrictJSON.encode(value), of: "test")
        #expect(read == value && read.hashValue == value.hashValue)
        #expect(JSONValue.number(1.5) != .integer(1) && JSONValue.bool(true) != .integer(1))
        #expect(JSONValue.string("1") != .integer(1))
    }

    @Test("a run whose settings are whole numbers is known again, another one refused")
    func journal() throws {
        let folder = try TemporaryFolder()
        let output = folder.path + "/out"
        let journal: [String: JSONValue] = ["anchor": .number(1), "keep": .number(0.5)]
        _ = try RunFolder(for: output, journal: journal, restart: false)
        _ = try RunFolder(for: output, journal: journal, restart: false)
        #expect(try RunFolder.isOpen(for: output, journal: journal))
        #expect(throws: RunFolderError.self) {
            try RunFolder(for: output, journal: ["anchor": .number(1)], restart: false)
        }
        try RunFolder.end(for: output)
        #expect(try !RunFolder.isOpen(for: output, journal: journal))
    }
}
