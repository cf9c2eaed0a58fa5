// measurements.sqlite: what probes have measured, of all models on this machine.
//
// Exploration is paid once: a measurement is committed as soon as it is made, a later run with the same
// model, text and fit reads it back, and predictors are trained from the rows of any models. SQLite in
// its write-ahead mode keeps concurrent runs apart; every row is written in a transaction of its own.
import Artifacts
import Foundation
import GRDB
import TensorNetworks

package final class MeasurementStore: Sendable {
    package let path: String
    private let queue: DatabaseQueue

    /// One file for all runs that share moments.
    package static func path(in root: String) -> String { "\(root)/measurements.sqlite" }

    /// Opens the store, or makes it.
    package init(_ path: String) throws {
        self.path = path
        do {
            let folder = (path as NSString).deletingLastPathComponent
            try FileManager.default.createDirectory(
                atPath: folder.isEmpty ? "." : folder, withIntermediateDirectories: true)
            // SQLite does not wait for another process that is making the file or changing its mode.
            let lock = try FileLock.wait("\(path).lock")
            queue = try withExtendedLifetime(lock) { try Self.open(path) }
        } catch {
            throw Self.described(error, path)
        }
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(60)
        // Opening for writing changes the file's mode: what is not ours is to be left as it is.
        if FileManager.default.fileExists(atPath: path) {
            configuration.readonly = true
            let reader = try DatabaseQueue(path: path, configuration: configuration)
            try reader.read { _ = try MeasurementSchema.check($0, file: path) }
            try reader.close()
            configuration.readonly = false
        }
        configuration.journalMode = .wal
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.write { try MeasurementSchema.prepare($0, file: path) }
        return queue
    }

    // MARK: Measurements

    /// The measurement of a key, if it has been made.
    package func measurement(_ key: ProbeMeasurement.Key) throws -> ProbeMeasurement? {
        let rows = try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM measurements WHERE checkpoint = ? AND text = ? AND matrix = ?
                    AND region = ? AND format = ? AND fit = ?
                    """,
                arguments: [
                    key.checkpoint.hex, key.text.hex, key.matrix, Self.json(key.region),
                    Self.json(key.format), key.fit,
                ])
        }
        return try rows.first.map(decoded)
    }

    /// All measurements, or those of one model, in a fixed order.
    package func measurements(of checkpoint: Fingerprint? = nil) throws -> [ProbeMeasurement] {
        let rows = try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM measurements WHERE ?1 IS NULL OR checkpoint = ?1
                    ORDER BY checkpoint, text, matrix, region, format, fit
                    """,
                arguments: [checkpoint?.hex])
        }
        return try rows.map(decoded)
    }

    /// Commits a measurement; one with the same key that is there stays.
    package func insert(_ measurement: ProbeMeasurement) throws {
        for (what, value) in [
            ("KL divergence", measurement.divergence), ("output error", measurement.outputError),
            ("price", measurement.price),
        ] where !(value.isFinite && value >= 0) {
            throw MeasurementStoreError.number(what, value, matrix: measurement.key.matrix)
        }
        let key = measurement.key
        let arguments: StatementArguments = [
            key.checkpoint.hex, key.text.hex, key.matrix, try Self.json(key.region),
            try Self.json(key.format), key.fit, measurement.divergence, measurement.outputError,
            measurement.price, measurement.parameters, measurement.tokens, measurement.date,
            measurement.program,
        ]
        try write { db in
            try db.execute(
                sql: """
                    INSERT INTO measurements (checkpoint, text, matrix, region, format, fit,
                    divergence, output_error, price, parameters, tokens, date, program)
                    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING
                    """, arguments: arguments)
        }
    }

    // MARK: Features

    /// Keeps the features of all matrices of a model; those of an earlier analysis are replaced.
    package func insert(_ features: ModelFeatures) throws {
        let rows = try features.matrices.sorted { $0.name < $1.name }
            .map { ($0.name, try Self.json($0)) }
        try write { db in
            for (matrix, features_) in rows {
                try db.execute(
                    sql: """
                        INSERT INTO features (checkpoint, matrix, version, features) VALUES (?,?,?,?)
                        ON CONFLICT DO UPDATE SET version = excluded.version, features = excluded.features
                        """,
                    arguments: [
                        features.source.hex, matrix, MatrixFeatures.version, features_,
                    ])
            }
        }
    }

    /// The features of a model's matrices; `nil` where the model was never probed, or only by a
    /// version whose features mean something else.
    package func features(of checkpoint: Fingerprint) throws -> ModelFeatures? {
        let texts = try read { db in
            try String.fetchAll(
                db,
                sql:
                    "SELECT features FROM features WHERE checkpoint = ? AND version = ? ORDER BY matrix",
                arguments: [checkpoint.hex, MatrixFeatures.version])
        }
        guard !texts.isEmpty else { return nil }
        return ModelFeatures(
            source: checkpoint, matrices: try texts.map { try parsed(MatrixFeatures.self, $0) })
    }

    /// The models that were probed, in a fixed order.
    package func checkpoints() throws -> [Fingerprint] {
        let found = try read { db in
            try String.fetchAll(
                db, sql: "SELECT DISTINCT checkpoint FROM measurements ORDER BY checkpoint")
        }
        return try found.map(fingerprint)
    }

    // MARK: Rows

    private func decoded(_ row: Row) throws -> ProbeMeasurement {
        ProbeMeasurement(
            key: ProbeMeasurement.Key(
                checkpoint: try fingerprint(try value(row, "checkpoint")),
                text: try fingerprint(try value(row, "text")),
                matrix: try value(row, "matrix"),
                region: try parsed(MatrixRegion.self, try value(row, "region")),
                format: try parsed(Format.self, try value(row, "format")),
                fit: try value(row, "fit")),
            divergence: try value(row, "divergence"),
            outputError: try value(row, "output_error"), price: try value(row, "price"),
            parameters: try value(row, "parameters"), tokens: try value(row, "tokens"),
            date: try value(row, "date"), program: try value(row, "program"))
    }

    /// A column of the type that it should have; GRDB's own subscript would trap on another.
    private func value<Value: DatabaseValueConvertible>(
        _ row: Row, _ column: String
    ) throws -> Value {
        let stored: DatabaseValue = row[column]
        guard let value = Value.fromDatabaseValue(stored) else {
            throw MeasurementStoreError.damaged(
                file: path, reason: "\(column) is \(stored), which is no \(Value.self)")
        }
        return value
    }

    private func fingerprint(_ text: String) throws -> Fingerprint {
        guard let fingerprint = Fingerprint(hex: text) else {
            throw MeasurementStoreError.damaged(
                file: path, reason: "'\(text)' is no fingerprint")
        }
        return fingerprint
    }

    private func parsed<Value: Codable>(_ type: Value.Type, _ text: String) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch {
            throw MeasurementStoreError.damaged(
                file: path, reason: "a row holds no \(type): \(text.prefix(80))")
        }
    }

    /// One text for one value: it is compared as a key.
    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    // MARK: Access

    private func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try queue.read(body) } catch { throw Self.described(error, path) }
    }

    private func write(_ body: (Database) throws -> Void) throws {
        do { try queue.write(body) } catch { throw Self.described(error, path) }
    }

    /// SQLite's errors in the user's words.
    private static func described(_ error: any Error, _ path: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let reason = error.message ?? "\(error.resultCode)"
        return switch error.resultCode {
        case .SQLITE_NOTADB, .SQLITE_CORRUPT, .SQLITE_ERROR:
            MeasurementStoreError.damaged(file: path, reason: reason)
        case .SQLITE_BUSY, .SQLITE_LOCKED: MeasurementStoreError.busy(file: path)
        default: MeasurementStoreError.inaccessible(file: path, reason: reason)
        }
    }
}
