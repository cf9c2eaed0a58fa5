import Foundation

@testable import Artifacts

enum TestModel {
    static let tiny = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Models/tiny").path

    static func module(_ like: LinearModule, _ rows: Int, _ columns: Int) -> LinearModule {
        LinearModule(name: like.name, rows: rows, columns: columns, hasBias: false)
    }
}

func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("minima-compare-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}
