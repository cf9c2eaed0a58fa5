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
    private var textOrder: WindowOrder
    private var taskOrder: WindowOrder

    /// Of a step's windows, beside those of text; every eighth was enough to learn a task's form and little
    /// enough to keep its text.
    private static let taskShare = 8

    package init(
        text: TrainingWindows, tasks: TaskExamples?, settings: TrainingSettings,
        windowsAtOnce: Int, on device: Device
    ) {
        self.text = text
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

    /// What step `step`, from 0, learns from.
    mutating func inputs(of step: Int) throws -> [BatchPass.Input] {
        var inputs: [BatchPass.Input] = []
        let numbers = windows(of: step)
        let all = numbers.count * text.length
        let answers = (0..<(tasks == nil ? 0 : tasksPerStep)).compactMap { index in
            tasks?.windows[taskOrder.window(at: step * tasksPerStep + index)]
        }
        let answerTokens = answers.reduce(0) { $0 + $1.answerTokens }
        for start in stride(from: 0, to: numbers.count, by: windowsAtOnce) {
            let group = numbers[start..<min(start + windowsAtOnce, numbers.count)]
            var made = try input(
                try group.flatMap { try text.window($0) }, windows: group.count,
                factors: nil, all, answerTokens)
            let first = step * windowsPerStep + start
            made.expected = try cache?.read(first..<first + group.count, on: device)
            inputs.append(made)
        }
        for start in stride(from: 0, to: answers.count, by: windowsAtOnce) {
            let group = answers[start..<min(start + windowsAtOnce, answers.count)]
            inputs.append(
                try input(
                    group.flatMap(\.tokens), windows: group.count,
                    factors: group.flatMap { $0.isAnswer.map { $0 ? 1 : 0 } }, all, answerTokens))
        }
        return inputs
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
