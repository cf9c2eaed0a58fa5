import GRDB

/// The tables of a measurement store, and how an older file becomes one of today.
enum MeasurementSchema {
    /// Marks the file as ours: "Mnma".
    static let application = 0x4D6E_6D61

    /// One step per version; a released step is never changed.
    static let migrations = [
        """
        CREATE TABLE measurements (
            checkpoint TEXT NOT NULL, text TEXT NOT NULL, matrix TEXT NOT NULL, region TEXT NOT NULL,
            format TEXT NOT NULL, fit TEXT NOT NULL, divergence REAL NOT NULL,
            output_error REAL NOT NULL, price REAL NOT NULL, parameters INTEGER NOT NULL,
            tokens INTEGER NOT NULL, date TEXT NOT NULL, program TEXT NOT NULL,
            PRIMARY KEY (checkpoint, text, matrix, region, format, fit)) WITHOUT ROWID;
        CREATE TABLE features (
            checkpoint TEXT NOT NULL, matrix TEXT NOT NULL, version INTEGER NOT NULL,
            features TEXT NOT NULL, PRIMARY KEY (checkpoint, matrix)) WITHOUT ROWID;
        """
    ]

    /// Refuses another program's database, and one that a newer version wrote.
    /// - Returns: the file's version; 0 for an empty one.
    static func check(_ db: Database, file: String) throws -> Int {
        let application = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM sqlite_schema") ?? 0
        let isNew = application == 0 && version == 0 && tables == 0
        guard isNew || application == Self.application else {
            throw MeasurementStoreError.foreign(file: file)
        }
        guard version <= migrations.count else {
            throw MeasurementStoreError.newer(
                file: file, version: version, known: migrations.count)
        }
        return version
    }

    /// Makes or migrates the tables; inside one transaction, so that a killed run leaves the old file.
    static func prepare(_ db: Database, file: String) throws {
        let version = try check(db, file: file)
        guard version < migrations.count else { return }
        for step in migrations[version...] { try db.execute(sql: step) }
        try db.execute(sql: "PRAGMA application_id = \(application)")
        try db.execute(sql: "PRAGMA user_version = \(migrations.count)")
    }
}
