import Artifacts
import Foundation
import TensorNetworks
import Testing

@testable import Analyze

@Suite("MeasurementStore")
struct MeasurementStoreTests {
    private static func measurement(
        _ rank: Int, divergence: Double = 0.25, program: String = "test"
    ) throws -> ProbeMeasurement {
        ProbeMeasurement(
            key: ProbeMeasurement.Key(
                checkpoint: try TestData.fingerprint(), text: Fingerprint(hashing: [[1]]),
                matrix: "model.layers.0.mlp.up_proj",
                region: MatrixRegion(rows: 0..<8, columns: 0..<8),
                format: .pivotedLowRank(rank: rank), fit: "{\"shrinkage\":0.01}"),
            divergence: divergence, outputError: 0.125, price: 0.1875, parameters: 40, tokens: 96,
            date: "2026-11-21T00:00:00Z", program: program)
    }

    @Test("what was inserted is read back, by key and by model, also by the next opener")
    func roundTrip() throws {
        let folder = try TemporaryFolder()
        let path = MeasurementStore.path(in: "\(folder.path)/new")
        let (first, second) = (try Self.measurement(1), try Self.measurement(2))
        do {
            let store = try MeasurementStore(path)
            #expect(try store.measurement(first.key) == nil)
            try store.insert(second)
            try store.insert(first)
            #expect(try store.measurement(first.key) == first)
        }
        let store = try MeasurementStore(path)
        #expect(try store.measurements() == [first, second])
        #expect(try store.measurements(of: first.key.checkpoint).count == 2)
        #expect(try store.measurements(of: Fingerprint(hashing: [[9]])).isEmpty)
        #expect(try store.checkpoints() == [first.key.checkpoint])
        // What is measured stays: a second measurement of the same key is not another one.
        try store.insert(try Self.measurement(1, divergence: 0.5))
        #expect(try store.measurement(first.key) == first)
    }

    @Test("numbers that mean nothing are refused", arguments: [Double.nan, .infinity, -0.1])
    func numbers(value: Double) throws {
        let folder = try TemporaryFolder()
        let store = try MeasurementStore(MeasurementStore.path(in: folder.path))
        let bad = try Self.measurement(1, divergence: value)
        #expect(throws: MeasurementStoreError.self) { try store.insert(bad) }
        #expect(try store.measurements().isEmpty)
    }

    @Test("features are kept by model and replaced by newer ones")
    func features() throws {
        let folder = try TemporaryFolder()
        let store = try MeasurementStore(MeasurementStore.path(in: folder.path))
        let source = try TestData.fingerprint()
        #expect(try store.features(of: source) == nil)
        let features = try SyntheticModel(layers: 3, seed: 1).features
        try store.insert(features)
        let found = try #require(try store.features(of: features.source))
        #expect(Set(found.matrices) == Set(features.matrices))
        #expect(found.layers == 3)
        let other = try SyntheticModel(layers: 3, seed: 2).features
        try store.insert(other)
        let replaced = try #require(try store.features(of: features.source))
        #expect(Set(replaced.matrices) == Set(other.matrices))
    }

    @Test("many connections at once lose nothing, and the first of a key stays")
    func concurrency() throws {
        let folder = try TemporaryFolder()
        let path = MeasurementStore.path(in: folder.path)
        let failures = Failures()
        DispatchQueue.concurrentPerform(iterations: 6) { worker in
            do {
                let store = try MeasurementStore(path)
                for rank in 1...25 {
                    try store.insert(
                        try Self.measurement(
                            worker.isMultiple(of: 2) ? rank : rank + 100 * worker,
                            program: "worker \(worker)"))
                    _ = try store.measurements()
                }
            } catch {
                failures.add("\(error)")
            }
        }
        #expect(failures.all.isEmpty, "\(failures.all)")
        let store = try MeasurementStore(path)
        #expect(try store.measurements().count == 25 + 3 * 25)
    }

    @Test("a file that is no store of ours is named, and left as it is")
    func damaged() throws {
        let folder = try TemporaryFolder()
        let path = MeasurementStore.path(in: folder.path)
        do {
            let store = try MeasurementStore(path)
            for rank in 1...200 { try store.insert(try Self.measurement(rank)) }
        }
        let good = try Data(contentsOf: URL(fileURLWithPath: path))
        func error(_ bytes: Data) throws -> MeasurementStoreError? {
            try bytes.write(to: URL(fileURLWithPath: path))
            do {
                let store = try MeasurementStore(path)
                _ = try store.measurements()
            } catch let error as MeasurementStoreError {
                #expect("\(error)".contains(path))
                let after = try Data(contentsOf: URL(fileURLWithPath: path))
                #expect(after.count == bytes.count)
                return error
            }
            return nil
        }
        #expect(try error(good) == nil)
        guard case .damaged = try error(Data(repeating: 65, count: 4_096)) else {
            Issue.record("text is taken for a database")
            return
        }
        guard case .damaged = try error(good.prefix(5_000)) else {
            Issue.record("half a database is taken for a whole one")
            return
        }
        var foreign = good
        foreign[71] = 1  // application_id, bytes 68..<72
        #expect(try error(foreign) == .foreign(file: path))
        var newer = good
        newer[63] = 99  // user_version, bytes 60..<64
        let known = MeasurementSchema.migrations.count
        #expect(try error(newer) == .newer(file: path, version: 99, known: known))
    }

    @Test("a folder that cannot be written to is an error")
    func inaccessible() throws {
        #expect(throws: (any Error).self) { try MeasurementStore("/proc/nowhere/store.sqlite") }
    }
}

/// What went wrong on other threads.
final class Failures: @unchecked Sendable {
    private let lock = NSLock()
    private var found: [String] = []

    func add(_ text: String) { lock.withLock { found.append(text) } }
    var all: [String] { lock.withLock { found } }
}
