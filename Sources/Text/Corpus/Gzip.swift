import CZlib

/// Streaming gzip; members may be concatenated.
final class Gzip: Decompressor {
    let format = "gzip"
    private let file: String
    private var stream = z_stream()
    private var needsReset = false

    init(file: String) throws(CorpusError) {
        self.file = file
        // 15 + 16: the largest window, gzip header and checksum required.
        let status = inflateInit2_(
            &stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            throw .unreadable(file: file, cause: "zlib cannot start (status \(status))")
        }
    }

    deinit { inflateEnd(&stream) }

    func step(
        _ input: ArraySlice<UInt8>, isLast: Bool, offset: Int, into output: inout [UInt8]
    ) throws(CorpusError) -> DecompressionStep {
        if needsReset {
            if input.isEmpty { return DecompressionStep(consumed: 0, isBetweenMembers: true) }
            inflateReset(&stream)
            needsReset = false
        }
        var status = Z_OK
        var consumed = 0
        input.withUnsafeBufferPointer { input in
            stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.avail_in = UInt32(input.count)
            output.appendUpTo(ByteSource.chunkSize) { space in
                stream.next_out = space.baseAddress
                stream.avail_out = UInt32(space.count)
                status = inflate(&stream, Z_NO_FLUSH)
                return space.count - Int(stream.avail_out)
            }
            consumed = input.count - Int(stream.avail_in)
            stream.next_in = nil
            stream.next_out = nil
        }
        switch status {
        case Z_STREAM_END:
            needsReset = true
            return DecompressionStep(consumed: consumed, isBetweenMembers: true)
        case Z_OK, Z_BUF_ERROR:
            return DecompressionStep(consumed: consumed, isBetweenMembers: false)
        default:
            let cause = stream.msg.map { String(cString: $0) } ?? "zlib status \(status)"
            throw .corrupt(file: file, format: format, offset: offset + consumed, cause: cause)
        }
    }
}
