/// Files that are replaced whole or not at all.
package enum AtomicFile {
    /// Replaces the contents of `path`. A process that is killed leaves the old file or the new one.
    package static func write(
        _ contents: some Sequence<UInt8>, to path: String
    ) throws(CheckpointError) {
        let file = try PendingFile(for: path)
        let bytes = Array(contents)
        try bytes.withUnsafeBufferPointer { (buffer) throws(CheckpointError) in
            try file.write(UnsafeRawBufferPointer(buffer), at: 0)
        }
        try file.commit()
    }
}
