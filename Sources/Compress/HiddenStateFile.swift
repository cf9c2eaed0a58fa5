// The calibration text's hidden states between two blocks, on disk. They are what a later block reads,
// so a resumed run needs them, and keeping them out of memory is what lets a model be compressed on a
// machine that is far smaller than its calibration text.
import Artifacts
import Foundation
import Tensors

/// Hidden states `[windows, tokens, hidden]` in float32.
struct HiddenStateFile {
    let path: String
    let windows: Int
    let tokens: Int
    let hidden: Int

    private var windowBytes: Int { tokens * hidden * ElementType.float32.byteCount }

    /// Writes every window in turn to a temporary name, then renames it.
    func write(_ window: (Int) throws -> Tensor) throws {
        let writer = try SafetensorsWriter(path, declaring: [declaration])
        for index in 0..<windows {
            let states = try window(index).converted(to: .float32)
            precondition(states.count == tokens * hidden, "a window of states is [tokens, hidden]")
            try states.withBytes { bytes in
                try writer.write(bytes, to: Self.name, at: index * windowBytes)
            }
        }
        try writer.finish()
    }

    /// Opens the file for reading.
    func open() throws -> Reader { try Reader(SafetensorsFile(path), self) }

    func remove() throws {
        // A run that is continued may find them gone.
        if exists { try FileManager.default.removeItem(atPath: path) }
    }

    var exists: Bool { FileManager.default.fileExists(atPath: path) }

    private static let name = "hidden_states"

    private var declaration: TensorInfo {
        guard
            let info = TensorInfo(
                name: Self.name, elementType: .float32, shape: [windows, tokens, hidden])
        else { preconditionFailure("calibration windows were checked to fit a file") }
        return info
    }

    struct Reader {
        private let file: SafetensorsFile
        private let layout: HiddenStateFile

        fileprivate init(_ file: SafetensorsFile, _ layout: HiddenStateFile) throws {
            let found = file.info(HiddenStateFile.name)?.shape
            guard found == layout.declaration.shape else {
                throw CompressError.foreignStates(file: layout.path)
            }
            self.file = file
            self.layout = layout
        }

        /// Window `index`, `[1, tokens, hidden]`, with memory of its own.
        func window(_ index: Int) throws -> Tensor {
            let states = try Tensor.uninitialized([1, layout.tokens, layout.hidden])
            let start = index * layout.windowBytes
            try file.withBytes(of: HiddenStateFile.name) { bytes in
                let source = UnsafeRawBufferPointer(
                    rebasing: bytes[start..<start + layout.windowBytes])
                try states.withMutableBytes { $0.copyMemory(from: source) }
            }
            // What has been copied need not stay resident.
            try file.release(HiddenStateFile.name)
            return states
        }
    }
}
