import Calibration
import Models
import Tensors

/// The hidden states that refinement reads again and again, in the order of its steps.
struct RefinementWindows {
    private let reader: HiddenStateFile.Reader
    private let device: Device
    /// `[windows, tokens, hidden]`, where they fit beside a block's training.
    private let resident: Tensor?
    /// Windows that go through the block together: a GPU waits for launches at one, a CPU's caches hold no more.
    private let together: Int

    /// More than this is read from the file every time.
    private static let residentBytes = 8 << 30

    /// - Parameter together: windows of a step.
    init(_ file: HiddenStateFile, together: Int, on device: Device) throws {
        let reader = try file.open()
        self.reader = reader
        self.device = device
        self.together = device == .cpu ? 1 : together
        resident =
            device != .cpu && file.byteCount <= Self.residentBytes
            ? try Tensor.concatenated(
                (0..<file.windows).map { try reader.window($0, on: device) }, along: 0)
            : nil
    }

    /// What goes through the block at once of a step's windows.
    func pieces(of windows: [Int]) -> [[Int]] {
        stride(from: 0, to: windows.count, by: together).map {
            Array(windows[$0..<min($0 + together, windows.count)])
        }
    }

    /// `[windows, tokens, hidden]`.
    func states(of windows: [Int]) throws -> Tensor {
        if let resident {
            let chosen = try Tensor(windows, shape: [windows.count], on: device)
            return try resident.selecting(chosen, along: 0)
        }
        if windows.count == 1 { return try reader.window(windows[0], on: device) }
        return try Tensor.concatenated(
            windows.map { try reader.window($0, on: device) }, along: 0)
    }
}
