import Models
import Tensors
import Testing

@testable import Generate

@Suite("Keys and values that wait in the host's memory")
struct SpillTests {
    /// A token behind 130 others in blocks 3, 0 and 4; again when they went to the host and came back to blocks 1, 5 and 2,
    /// while others were written.
    private func check(_ runner: any StepRunner) throws {
        #expect(runner.spillBlocks == 4)
        func item(_ number: Int, _ blocks: [Int]) -> Scheduler.Item {
            Scheduler.Item(
                request: RequestID(number), tokens: [Int32(11 + number)], start: 130,
                blocks: blocks, predicts: true)
        }
        let first = try runner.logits(
            of: .init(items: [item(1, [3, 0, 4])], preempted: [])
        ).copied()
        let saved = zip([3, 0, 4], [2, 0, 3]).map { Scheduler.Transfer(block: $0, place: $1) }
        let other = try runner.logits(
            of: .init(items: [item(2, [4, 3, 0])], preempted: [], saved: saved)
        ).copied()
        let restored = zip([1, 5, 2], [2, 0, 3]).map { Scheduler.Transfer(block: $0, place: $1) }
        let again = try runner.logits(
            of: .init(items: [item(1, [1, 5, 2])], preempted: [], restored: restored))
        let (a, b, c) = (
            try first.elements(as: Float.self), try again.elements(as: Float.self),
            try other.elements(as: Float.self)
        )
        #expect(a == b)
        #expect(a != c)
    }

    @Test("on a CPU, by its own routines and by libtorch, in float32 and e4m3")
    func host() throws {
        let model = try DeviceTestModel.qwen3.model(as: .float32, on: .cpu)
        let executor = try Executor(model)
        let runner = try executor.runner(blocks: 6, spill: 5 * executor.blockBytes - 1, noise: 3)
        #expect(runner is HostRunner)
        try check(runner)
        for type in [ElementType.float32, .float8e4m3] {
            try check(ModelRunner(model, blocks: 6, as: type, spill: 4, noise: 3))
        }
    }

    @Test(
        "on a GPU, in bfloat16 and e4m3",
        .enabled(if: DeviceTestMachine.hasDevice, "there is no GPU"),
        arguments: [ElementType.bfloat16, .float8e4m3])
    func device(_ type: ElementType) throws {
        let model = try DeviceTestModel.qwen3.model(as: .bfloat16, on: .cuda(0))
        let executor = try Executor(model, cache: type)
        let runner = try executor.runner(blocks: 6, spill: 4 * executor.blockBytes, noise: 3)
        #expect(runner is DeviceRunner)
        try check(runner)
    }
}
