import CLZMA

/// Streaming xz; streams may be concatenated, with padding between them.
final class XZ: Decompressor {
    let format = "xz"
    private let file: String
    private var stream = lzma_stream()

    /// LZMA_CONCATENATED, a macro that Swift does not see.
    private static let concatenated: UInt32 = 0x08

    /// More than `xz -9` needs (65 MiB); a file that asks for more is refused.
    private static let memoryLimit: UInt64 = 256 << 20

    init(file: String) throws(CorpusError) {
        self.file = file
        let status = lzma_stream_decoder(
            &stream, Self.memoryLimit, Self.concatenated)
        guard status == LZMA_OK else {
            throw .unreadable(file: file, cause: "liblzma cannot start (\(status.rawValue))")
        }
    }

    deinit { lzma_end(&stream) }

    func step(
        _ input: ArraySlice<UInt8>, isLast: Bool, offset: Int, into output: inout [UInt8]
    ) throws(CorpusError) -> DecompressionStep {
        var status = LZMA_OK
        var consumed = 0
        input.withUnsafeBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = input.count
            output.appendUpTo(ByteSource.chunkSize) { space in
                stream.next_out = space.baseAddress
                stream.avail_out = space.count
                // Only liblzma knows whether concatenated streams are complete: tell it the end.
                status = lzma_code(&stream, isLast ? LZMA_FINISH : LZMA_RUN)
                return space.count - stream.avail_out
            }
            consumed = input.count - stream.avail_in
            stream.next_in = nil
            stream.next_out = nil
        }
        switch status {
        case LZMA_STREAM_END:
            return DecompressionStep(
                consumed: consumed, isBetweenMembers: true, isFinished: true)
        case LZMA_OK:
            return DecompressionStep(consumed: consumed, isBetweenMembers: false)
        case LZMA_BUF_ERROR:
            if isLast { throw .truncated(file: file, format: format) }
            return DecompressionStep(consumed: consumed, isBetweenMembers: false)
        case LZMA_MEMLIMIT_ERROR:
            throw corrupt(offset + consumed, "it needs more than \(Self.memoryLimit) bytes")
        case LZMA_FORMAT_ERROR:
            throw corrupt(offset + consumed, "not an xz stream")
        case LZMA_DATA_ERROR:
            throw corrupt(offset + consumed, "damaged data")
        default:
            throw corrupt(offset + consumed, "liblzma status \(status.rawValue)")
        }
    }

    private func corrupt(_ offset: Int, _ cause: String) -> CorpusError {
        .corrupt(file: file, format: format, offset: offset, cause: cause)
    }
}
