import Tensors

/// The batch of every step: a function of the step alone, so that a run goes on from any of them.
package struct BatchSource {
    let text: TrainingWindows
    let tasks: TaskExamples?
    let windowsPerStep: Int
    /// Windows of text that go through the model at once.
    let windowsAtOnce: Int
    let device: Device
    /// Where the teacher's predictions are kept instead of the teacher.
    var cache: TeacherCache?
    /// Of every step's windows this process takes one of as many shares, one behind the other and as equal as they go.
    private let share: (rank: Int, size: Int)
    private var textOrder: WindowOrder
    private var taskOrder: WindowOrder

    /// Of a step's windows, beside those of text; every eighth was enough to learn a task's form and little
    /// enough to keep its text.
    private static let taskShare = 8

    package init(
        text: TrainingWindows, tasks: TaskExamples?, settings: TrainingSettings,
        windowsAtOnce: Int, share: (rank: Int, size: Int) = (0, 1), on device: Device
    ) {
        self.text = text
        self.share = share
        self.tasks = tasks
        self.windowsAtOnce = windowsAtOnce
        self.device = device
        windowsPerStep = settings.windowsPerStep
        textOrder = WindowOrder(count: text.count, seed: settings.seed)
        taskOrder = WindowOrder(count: tasks?.windows.count ?? 1, seed: settings.seed &+ 1)
    }

    private var tasksPerStep: Int { max(1, windowsPerStep / Self.taskShare) }

    /// Windows of text of a step, by their numbers.
    mutating func windows(of step: Int) -> [Int] {
        (0..<windowsPerStep).map { textOrder.window(at: step * windowsPerStep + $0) }
    }

    /// What a step learns from.
    package struct Batch {
        /// This process' share of it, which may be nothing.
        package var inputs: [BatchPass.Input] = []
        /// Targets that count in all of it: of the text, and of answers.
        package let textTargets: Int
        let answerTargets: Int
    }

    private func share(of count: Int) -> Range<Int> {
        share.rank * count / share.size..<(share.rank + 1) * count / share.size
    }

    /// That of step `step`, from 0.
    mutating func batch(of step: Int) throws -> Batch {
        let numbers = windows(of: step)
        let all = numbers.count * text.length
        let answers = (0..<(tasks == nil ? 0 : tasksPerStep)).compactMap { index in
            tasks?.windows[taskOrder.window(at: step * tasksPerStep + index)]
        }
        let answerTokens = answers.reduce(0) { $0 + $1.answerTokens }
        var batch = Batch(textTargets: all, answerTargets: answerTokens)
        let (mine, asked) = (share(of: numbers.count), share(of: answers.count))
        for start in stride(from: mine.lowerBound, to: mine.upperBound, by: windowsAtOnce) {
            let group = numbers[start..<min(start + windowsAtOnce, mine.upperBound)]
            var made = try input(
                try group.flatMap { try text.window($0) }, windows: group.count,
                factors: nil, all, answerTokens)
            let first = step * windowsPerStep + start
            made.expected = try cache?.read(first..<first + group.count, on: device)
            batch.inputs.append(made)
        }
        for start in stride(from: asked.lowerBound, to: asked.upperBound, by: windowsAtOnce) {
            let group = answers[start..<min(start + windowsAtOnce, asked.upperBound)]
            batch.inputs.append(
                try input(
                    group.flatMap(\.tokens), windows: group.count,
                    factors: group.flatMap { $0.isAnswer.map { $0 ? 1 : 0 } }, all, answerTokens))
        }
        return batch
    }

    /// Inputs of the windows at some positions of the order, `[windows, tokens]`.
    mutating func ids(at positions: Range<Int>) throws -> Tensor {
        let tokens = try positions.flatMap { try text.window(textOrder.window(at: $0)).dropLast() }
        return try Tensor(tokens, shape: [positions.count, text.length]).uploaded(to: device)
    }

    /// - Parameter tokens: `length + 1` of each window.
    func input(
        _ tokens: [Int32], windows: Int, factors: [Float]?, _ textTargets: Int,
        _ answerTargets: Int
    ) throws -> BatchPass.Input {
        let length = text.length
        let all = try Tensor(tokens, shape: [windows, length + 1]).uploaded(to: device)
        return BatchPass.Input(
            ids: try all.narrowed(1, 0..<length).contiguous(),
            targets: try all.narrowed(1, 1..<length + 1).reshaped([windows * length])
                .converted(to: .int64),
            factors: try factors.map { try Tensor($0).uploaded(to: device) },
            textTargets: textTargets, answerTargets: answerTargets)
    }
}
