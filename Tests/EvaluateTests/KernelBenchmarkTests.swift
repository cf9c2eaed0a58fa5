import Artifacts
import TensorNetworks
import Tensors
import Testing

@testable import Evaluate

@Suite("KernelBenchmark")
struct KernelBenchmarkTests {
    @Test("a line is found again, and never has a negative part")
    func line() {
        let exact = LinearTime([(100, 1.2), (1_000, 3), (4_000, 9)])
        #expect(abs(exact.fixed - 1) < 1e-9 && abs(exact.slope - 0.002) < 1e-12)
        #expect(exact.error < 1e-9)
        let falling = LinearTime([(1, 5), (10, 4)])
        #expect(falling.slope == 0 && falling.fixed > 4 && falling.fixed < 5)
        let steep = LinearTime([(1, 0.1), (10, 5)])
        #expect(steep.fixed == 0 && steep.slope > 0)
        let single = LinearTime([(10, 5)])
        #expect(single.fixed == 0 && abs(single.slope - 0.5) < 1e-12)
        #expect(LinearTime([]).slope == 0 && LinearTime([(3, 0)]).fixed == 0)
    }

    @Test("every format of a small shape is timed, beside its floor")
    func measured() throws {
        let model = try RandomModel(seed: 1)
        var benchmark = KernelBenchmark(try ModelConfiguration(folder: model.path))
        benchmark.kinds = Format.Kind.allCases
        benchmark.batches = [2, 1]
        benchmark.shares = [0.7]
        benchmark.contexts = [4, 8]
        benchmark.seconds = 0.001
        benchmark.spreadBytes = 1 << 16
        var notes: [Int] = []
        let result = try benchmark.run { done, total, _ in
            #expect(done <= total)
            notes.append(done)
        }
        #expect(notes == notes.sorted())
        try result.times.validate()
        #expect(result.times.batches.map(\.sequences) == [1, 2])
        for batch in result.times.batches {
            #expect(Set(batch.formats.map(\.kind)) == Set(Format.Kind.allCases))
        }
        #expect(result.readBandwidth > 1e8)
        let layers = result.samples.filter { $0.kind != "block" }
        #expect(layers.allSatisfy { $0.seconds > 0 && $0.floorSeconds > 0 && $0.values > 0 })
        #expect(result.samples.count - layers.count == 4)
    }
}
