// The calibration text's hidden states between two blocks, on disk. They are what a later block reads,
// so a resumed run needs them, and keeping them out of memory is what lets a model be compressed on a
// machine that is far smaller than its calibration text.
import Artifacts
import Foundation
import Models
import Tensors

/// Hidden states `[windows, tokens, hidden]` in float32.
package struct HiddenStateFile {
    package let path: String
    package let windows: Int
    let tokens: Int
    let hidden: Int

    package init(path: String, windows: Int, tokens: Int, hidden: Int) {
        self.path = path
        self.windows = windows
        self.tokens = tokens
        self.hidden = hidden
    }

    package var byteCount: Int { windows * windowBytes }

    private var windowBytes: Int { tokens * hidden * ElementType.float32.byteCount }

    /// Opens the file for reading.
    package func open() throws -> Reader { try Reader(SafetensorsFile(path), self) }

    /// Begins the file under a temporary name.
    package func create() throws -> Writer {
        Writer(try SafetensorsWriter(path, declaring: [declaration]), self)
    }

    /// Writes what the first block reads: the embeddings of the windows.
    package func writeEmbeddings(
        of windows: [[Int]], _ weights: WeightSource, _ configuration: ModelConfiguration,
        on device: Device
    ) throws {
        let ends = try ModelEnds(
            of: configuration, from: WeightLoader(weights, as: .float32, on: device))
        let writer = try create()
        for (index, window) in windows.enumerated() {
            let ids = try Tensor(window, shape: [1, window.count], on: device)
            try writer.write(try ends.embed(ids), window: index)
        }
        try writer.finish()
    }

    package func remove() throws {
        // A run that is continued may find them gone.
        if exists { try FileManager.default.removeItem(atPath: path) }
    }

    package var exists: Bool { FileManager.default.fileExists(atPath: path) }

    private static let name = "hidden_states"

    private var declaration: TensorInfo {
        guard
            let info = TensorInfo(
                name: Self.name, elementType: .float32, shape: [windows, tokens, hidden])
        else { preconditionFailure("calibration windows were checked to fit a file") }
        return info
    }

    /// Takes every window once, in any order; the file appears when it is finished.
    package final class Writer {
        private let writer: SafetensorsWriter
        private let layout: HiddenStateFile

        fileprivate init(_ writer: SafetensorsWriter, _ layout: HiddenStateFile) {
            self.writer = writer
            self.layout = layout
        }

        /// - Parameter states: `[1, tokens, hidden]`.
        package func write(_ states: Tensor, window: Int) throws {
            let states = try states.detached().moved(to: .cpu).converted(to: .float32).contiguous()
            precondition(
                states.count == layout.tokens * layout.hidden, "a window is [tokens, hidden]")
            try states.withBytes { bytes in
                try writer.write(
                    bytes, to: HiddenStateFile.name, at: window * layout.windowBytes)
            }
        }

        package func finish() throws { try writer.finish() }
    }

    package struct Reader {
        private let file: SafetensorsFile
        private let layout: HiddenStateFile

        fileprivate init(_ file: SafetensorsFile, _ layout: HiddenStateFile) throws {
            let found = file.info(HiddenStateFile.name)?.shape
            guard found == layout.declaration.shape else {
                throw CalibrationError.foreignStates(file: layout.path)
            }
            self.file = file
            self.layout = layout
        }

        package var windows: Int { layout.windows }

        /// Window `index`, `[1, tokens, hidden]`, with memory of its own.
        package func window(_ index: Int, on device: Device) throws -> Tensor {
            let states = try Tensor.uninitialized([1, layout.tokens, layout.hidden])
            let start = index * layout.windowBytes
            try file.withBytes(of: HiddenStateFile.name) { bytes in
                let source = UnsafeRawBufferPointer(
                    rebasing: bytes[start..<start + layout.windowBytes])
                try states.withMutableBytes { $0.copyMemory(from: source) }
            }
            // What has been copied need not stay resident.
            try file.release(HiddenStateFile.name)
            return try states.moved(to: device)
        }
    }
}
