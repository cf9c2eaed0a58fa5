// What a teacher predicts, on disk: of every token its `count` likeliest successors and how much is left for all
// others. A training then needs no teacher in memory, and the next one on the same text no teacher at all.
//
// The mass beyond them is matched as one number, and left to the student to spread: dropping it would teach
// students to be too sure, and spreading it evenly that every rare word is as rare.
import Artifacts
import Foundation
import Tensors

/// Predictions for the windows of one training, in its order: file i holds positions
/// `i · windowsPerFile ..< (i + 1) · windowsPerFile`, each file written whole, so that a killed pass goes on.
struct TeacherCache {
    let folder: String
    let count: Int
    let length: Int

    static let windowsPerFile = 32

    /// - Parameter key: of all that the predictions depend on beside `count` and `length`.
    init(in root: String, key: [String], count: Int, length: Int) throws {
        let name = Fingerprint(
            hashing: (["minima teacher 1", "\(count) \(length)"] + key).map { Array($0.utf8) })
        folder = "\(root)/teacher-\(name.hex.prefix(24))"
        self.count = count
        self.length = length
    }

    private func path(_ file: Int) -> String { "\(folder)/windows-\(file).safetensors" }

    private func missing(_ positions: Int) -> [Int] {
        let files = (positions + Self.windowsPerFile - 1) / Self.windowsPerFile
        return (0..<files).filter { !FileManager.default.fileExists(atPath: path($0)) }
    }

    /// Runs the teacher over the windows that are not there yet: each process over some of them, and then over what is
    /// missing still, as the others' may be on another disk.
    /// - Parameters:
    ///   - make: the teacher, where there is something to do.
    ///   - input: ids `[windows, tokens]` of some positions.
    ///   - progress: positions done, of how many.
    func fill(
        _ positions: Int, _ make: () throws -> Teacher, with processes: ProcessGroup,
        input: (Range<Int>) throws -> Tensor, progress: (Int, Int) throws -> Void
    ) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // Before any of them writes: later they would not agree in what is missing.
        let mine = missing(positions).filter { $0 % processes.size == processes.rank }
        try processes.meet()
        try fill(mine, positions, make, input, progress)
        try processes.meet()
        guard !missing(positions).isEmpty else { return try processes.meet() }
        let lock = try FileLock.wait("\(folder)/lock") { try progress(0, positions) }
        try withExtendedLifetime(lock) {
            try fill(missing(positions), positions, make, input, progress)
        }
        try processes.meet()
    }

    private func fill(
        _ files: [Int], _ positions: Int, _ make: () throws -> Teacher,
        _ input: (Range<Int>) throws -> Tensor, _ progress: (Int, Int) throws -> Void
    ) throws {
        guard !files.isEmpty else { return }
        let teacher = try make()
        for file in files {
            let first = file * Self.windowsPerFile
            try progress(first, positions)
            var pieces: [[Tensor]] = [[], [], []]
            for position in first..<first + Self.windowsPerFile {
                let ids = try input(position..<position + 1)
                let found = try largest(teacher, ids)
                for (index, tensor) in found.enumerated() { pieces[index].append(tensor) }
            }
            let names = ["tokens", "logs", "rest"]
            let tensors = try pieces.map { try Tensor.concatenated($0, along: 0) }
            let writer = try SafetensorsWriter(
                path(file), declaring: zip(names, tensors).map { TensorInfo(name: $0, of: $1) })
            for (name, tensor) in zip(names, tensors) { try writer.write(tensor, named: name) }
            try writer.finish()
        }
    }

    /// Numbers of the likeliest tokens, int32 `[tokens, count]`, ln of their probabilities, float16, and ln of
    /// what is left, float32 `[tokens]`; on the CPU.
    private func largest(_ teacher: Teacher, _ ids: Tensor) throws -> [Tensor] {
        try withoutGradients {
            let states = try teacher.observe(ids, keepingBlocks: false).states
            let logs = try states.linear(teacher.model.ends.head).logSoftmaxInFloat32()
            let (values, tokens) = try logs.largest(count, along: 1)
            // Summed itself: one less the others' sum would be rounding where they are nearly all.
            let all = try logs.exp()
            try all.scatter(try Tensor.zeros(tokens.shape, on: all.device), at: tokens, along: 1)
            let rest = try all.sum(1).clamped(1e-10...1).log()
            return [
                try tokens.to(.int32, .cpu), try values.to(.float16, .cpu),
                try rest.to(.float32, .cpu),
            ]
        }
    }

    /// Predictions for the windows at some positions.
    func read(_ positions: Range<Int>, on device: Device) throws -> HeadLoss.Expectation {
        var pieces: [[Tensor]] = [[], [], []]
        for file in positions.lowerBound / Self.windowsPerFile...(positions.upperBound - 1)
            / Self.windowsPerFile
        {
            let begin = file * Self.windowsPerFile
            let range = positions.clamped(to: begin..<begin + Self.windowsPerFile)
            let stored = try SafetensorsFile(path(file))
            for (index, name) in ["tokens", "logs", "rest"].enumerated() {
                let tensor = try stored.tensor(named: name)
                guard tensor.shape.first == Self.windowsPerFile * length,
                    index == 2 || tensor.shape.last == count
                else { throw HealError.foreignTokens(file: path(file)) }
                pieces[index].append(
                    try tensor.narrowed(
                        0,
                        (range.lowerBound - begin) * length..<(range.upperBound - begin) * length))
            }
        }
        func joined(_ index: Int, as type: ElementType) throws -> Tensor {
            try Tensor.concatenated(pieces[index], along: 0).uploaded(to: device)
                .converted(to: type)
        }
        return .largest(
            tokens: try joined(0, as: .int64), logs: try joined(1, as: .float32),
            rest: try joined(2, as: .float32))
    }
}
