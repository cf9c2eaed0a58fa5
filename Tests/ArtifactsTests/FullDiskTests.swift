import Glibc
import Tensors
import Testing

@testable import Artifacts

@Suite("Nothing is left half-written", .serialized)
struct FullDiskTests {
    let folder: TemporaryFolder
    let old: [UInt8]

    init() throws {
        folder = try TemporaryFolder()
        let writer = try SafetensorsWriter(
            folder.file("model.safetensors"), declaring: [try declaration(bytes: 4)])
        try Array("old!".utf8).withUnsafeBytes { try writer.write($0, to: "w") }
        try writer.finish()
        old = try folder.contents("model.safetensors")
    }

    /// Only the old file is there, and it is as it was.
    func expectUntouched() throws {
        #expect(try folder.names == ["model.safetensors"])
        #expect(try folder.contents("model.safetensors") == old)
    }

    @Test("an abandoned file leaves the old one")
    func abandoned() throws {
        do {
            let writer = try SafetensorsWriter(
                folder.file("model.safetensors"), declaring: [try declaration(bytes: 100)])
            try Array("new".utf8).withUnsafeBytes { try writer.write($0, to: "w", at: 50) }
            #expect(try folder.names.count == 2)
        }
        try expectUntouched()
    }

    @Test("what a killed writer left is taken over, what a live one holds is not")
    func leftovers() throws {
        let path = folder.file("file.json")
        try folder.write(Array(repeating: 7, count: 1_000), to: ".file.json.partial")
        try AtomicFile.write("whole".utf8, to: path)
        #expect(try folder.contents("file.json") == Array("whole".utf8))
        #expect(try folder.names == ["file.json", "model.safetensors"])

        let writer = try PendingFile(for: path)
        #expect(throws: CheckpointError.unwritable(file: path, SystemFault(code: EBUSY))) {
            try AtomicFile.write("other".utf8, to: path)
        }
        try writer.commit()
        #expect(try folder.contents("file.json").isEmpty)
    }

    @Test("a file that may not grow so long: needs no privileges")
    func fileSizeLimit() throws {
        // Far above what other suites write at the same time.
        let limit = 96 << 20
        signal(SIGXFSZ, SIG_IGN)
        var previous = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &previous)
        var lowered = previous
        lowered.rlim_cur = rlim_t(limit)
        try #require(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &lowered) == 0)
        defer { setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &previous) }

        let path = folder.file("model.safetensors")
        let fault = CheckpointError.unwritable(file: path, SystemFault(code: EFBIG))
        // Found when space is reserved…
        #expect(throws: fault) {
            _ = try SafetensorsWriter(path, declaring: [try declaration(bytes: limit)])
        }
        try expectUntouched()
        // …and in the middle of writing.
        #expect(throws: fault) {
            let file = try PendingFile(for: path)
            let bytes = [UInt8](repeating: 1, count: 1 << 20)
            for offset in stride(from: limit - 3 << 20, to: limit + 2 << 20, by: 700_000) {
                try bytes.withUnsafeBytes { try file.write($0, at: offset) }
            }
            try file.commit()
        }
        try expectUntouched()
    }

    @Test("a full disk, and one that is mounted read-only")
    func mountedDisk() throws {
        let disk = try TemporaryFolder()
        guard mount("tmpfs", disk.path, "tmpfs", 0, "size=1m") == 0 else {
            print("SKIPPED: a small disk cannot be mounted: \(SystemFault.latest)")
            return
        }
        defer { umount2(disk.path, Int32(MNT_DETACH)) }
        let path = disk.file("model.safetensors")
        try AtomicFile.write("old".utf8, to: path)

        #expect(throws: CheckpointError.unwritable(file: path, SystemFault(code: ENOSPC))) {
            _ = try SafetensorsWriter(path, declaring: [try declaration(bytes: 2 << 20)])
        }
        #expect(throws: CheckpointError.unwritable(file: path, SystemFault(code: ENOSPC))) {
            try AtomicFile.write(repeatElement(1, count: 2 << 20), to: path)
        }
        #expect(throws: CheckpointError.self) {
            _ = try CheckpointWriter(
                disk.file("copy"), like: TestModels.tiny, declaring: [declaration(bytes: 2 << 20)])
        }
        #expect(try disk.names == ["model.safetensors"])
        #expect(try disk.contents("model.safetensors") == Array("old".utf8))

        let flags = UInt(MS_REMOUNT | MS_RDONLY)
        try #require(mount("tmpfs", disk.path, "tmpfs", flags, nil) == 0)
        let fault = CheckpointError.unwritable(file: path, SystemFault(code: EROFS))
        #expect(throws: fault) { try AtomicFile.write("new".utf8, to: path) }
        #expect(fault.description == "cannot write \(path): Read-only file system")
    }

    @Test("folders that are missing or refuse files")
    func refused() throws {
        let missing = folder.file("none/model.safetensors")
        #expect(throws: CheckpointError.unwritable(file: missing, SystemFault(code: ENOENT))) {
            try AtomicFile.write("new".utf8, to: missing)
        }
        let below = folder.file("model.safetensors/x")
        #expect(throws: CheckpointError.unwritable(file: below, SystemFault(code: ENOTDIR))) {
            try AtomicFile.write("new".utf8, to: below)
        }
        // The kernel's own folder takes no files, not even from root.
        #expect {
            try AtomicFile.write("new".utf8, to: "/sys/minima.json")
        } throws: { error in
            guard case CheckpointError.unwritable("/sys/minima.json", let fault) = error else {
                return false
            }
            return [EACCES, EPERM, EROFS].contains(fault.code)
        }
        try expectUntouched()
    }
}

/// One tensor `w` of bytes.
private func declaration(bytes: Int) throws -> TensorInfo {
    try #require(TensorInfo(name: "w", elementType: .uint8, shape: [bytes]))
}
