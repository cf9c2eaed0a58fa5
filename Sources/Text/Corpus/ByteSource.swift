/// The decompressed bytes of a file, chunk by chunk; plain, gzip or xz, told apart by magic bytes.
/// Memory: two chunks and the decompressor's window, whatever the size of the file.
final class ByteSource {
    static let chunkSize = 256 << 10

    private let file: String
    private let descriptor: FileDescriptor
    private var decompressor: (any Decompressor)?
    private var input = [UInt8](repeating: 0, count: chunkSize)
    private var pending = 0..<0
    private var isAtEnd = false
    /// Bytes read from the file so far.
    private var readCount = 0
    /// Whether the compressed data may stop here.
    private var isBetweenMembers = true

    init(file: String) throws(CorpusError) {
        self.file = file
        do throws(FileFailure) {
            descriptor = try FileDescriptor(reading: file)
            _ = try descriptor.status()
        } catch {
            throw error.isMissing
                ? .missing(file: file) : .unreadable(file: file, cause: error.cause)
        }
        while pending.count < 6, !isAtEnd { try refill(keeping: true) }
        let head = input[pending]
        if head.starts(with: [0x1F, 0x8B]) {
            decompressor = try Gzip(file: file)
        } else if head.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) {
            decompressor = try XZ(file: file)
        }
    }

    /// Reads into `input`: all of it, or what is free after the pending bytes.
    private func refill(keeping: Bool = false) throws(CorpusError) {
        let start = keeping ? pending.upperBound : 0
        var failure: FileFailure?
        let count = input.withUnsafeMutableBytes { raw -> Int in
            do throws(FileFailure) {
                return try descriptor.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: raw[start...]))
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw .unreadable(file: file, cause: failure.cause) }
        if count == 0 { isAtEnd = true }
        readCount += count
        pending = (keeping ? pending.lowerBound : 0)..<start + count
    }

    /// Appends the next bytes of the text to `output`.
    /// - Returns: false at the end; then nothing was appended.
    func read(into output: inout [UInt8]) throws(CorpusError) -> Bool {
        guard let decompressor else {
            if pending.isEmpty, !isAtEnd { try refill() }
            output.append(contentsOf: input[pending])
            defer { pending = 0..<0 }
            return !pending.isEmpty
        }
        while true {
            if pending.isEmpty, !isAtEnd { try refill() }
            if pending.isEmpty, isBetweenMembers, isAtEnd { return false }
            let before = output.count
            let step = try decompressor.step(
                input[pending], isLast: isAtEnd, offset: readCount - pending.count,
                into: &output)
            pending = pending.lowerBound + step.consumed..<pending.upperBound
            isBetweenMembers = step.isBetweenMembers
            if output.count > before { return true }
            if step.isFinished { return false }
            if isAtEnd, pending.isEmpty, !isBetweenMembers {
                throw .truncated(file: file, format: decompressor.format)
            }
        }
    }
}

/// One step of a streaming decompressor.
struct DecompressionStep {
    /// Bytes of the input that are done with.
    var consumed: Int
    /// Whether the compressed data may end here.
    var isBetweenMembers: Bool
    /// Whether nothing more will come.
    var isFinished = false
}

/// A streaming decompressor; its conformers are `Gzip` and `XZ`.
protocol Decompressor: AnyObject {
    /// For messages.
    var format: String { get }

    /// Decompresses some of `input` to the end of `output`.
    /// - Parameters:
    ///   - isLast: whether the file ends with this input.
    ///   - offset: where `input` stands in the file, for messages.
    func step(
        _ input: ArraySlice<UInt8>, isLast: Bool, offset: Int, into output: inout [UInt8]
    ) throws(CorpusError) -> DecompressionStep
}

extension Array where Element == UInt8 {
    /// Appends up to `count` bytes that `fill` writes; it returns how many there were.
    mutating func appendUpTo(_ count: Int, _ fill: (UnsafeMutableBufferPointer<UInt8>) -> Int) {
        let start = self.count
        append(contentsOf: repeatElement(0, count: count))
        let filled = withUnsafeMutableBufferPointer {
            fill(UnsafeMutableBufferPointer(rebasing: $0[start...]))
        }
        removeSubrange((start + filled)...)
    }
}
