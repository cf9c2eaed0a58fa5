import Artifacts
import FoundationEssentials
import Glibc

/// Compiled kernels on disk: `KEY.cubin`, the SHA-256 of the machine code in hexadecimal digits and a
/// line end, then the code.
struct KernelCache: Sendable {
    let folder: String

    enum Entry: Equatable {
        case intact([UInt8])
        case damaged
        case absent
    }

    func path(_ key: Fingerprint) -> String { "\(folder)/\(key.hex).cubin" }

    /// What cannot be read counts as absent: it is made again, and keeping it then says why.
    func image(_ key: Fingerprint) -> Entry {
        guard let contents = FileManager.default.contents(atPath: path(key)) else { return .absent }
        let digits = 64
        guard contents.count > digits else { return .damaged }
        let image = Array(contents.dropFirst(digits + 1))
        guard Array(contents.prefix(digits + 1)) == Self.header(of: image) else { return .damaged }
        return .intact(image)
    }

    /// - Returns: what kept the image from being written.
    func keep(_ image: [UInt8], _ key: Fingerprint) -> CheckpointError? {
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        } catch {
            return .unwritable(file: folder, .latest)
        }
        do throws(CheckpointError) {
            try AtomicFile.write(Self.header(of: image) + image, to: path(key))
        } catch {
            return error
        }
        return nil
    }

    private static func header(of image: [UInt8]) -> [UInt8] {
        Array("\(Fingerprint(hashing: [image]).hex)\n".utf8)
    }
}
