import NIOCore

/// Finds what stands behind `data:` in a stream of events, whatever pieces its bytes come in.
struct EventReader {
    private var held = ByteBuffer()
    /// Bytes of `held` that are known to hold no end of a line.
    private var searched = 0

    mutating func append(_ bytes: ByteBuffer) { held.writeImmutableBuffer(bytes) }

    /// - Returns: the next event's data, `nil` until more has come.
    mutating func next() -> String? {
        while let end = held.readableBytesView.dropFirst(searched).firstIndex(of: 0x0A) {
            let line = held.readString(length: end - held.readerIndex) ?? ""
            held.moveReaderIndex(forwardBy: 1)
            searched = 0
            guard line.hasPrefix("data:") else { continue }
            var data = line.dropFirst(5)
            if data.first == " " { data = data.dropFirst() }
            // \r\n is one Character.
            return data.last == "\r" ? String(data.dropLast()) : String(data)
        }
        searched = held.readableBytes
        held.discardReadBytes()
        return nil
    }
}
