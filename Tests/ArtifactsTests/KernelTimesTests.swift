import FoundationEssentials
import TensorNetworks
import Testing

@testable import Artifacts

@Suite("KernelTimes")
struct KernelTimesTests {
    private func table(_ change: (inout [KernelTimes.FormatTime]) -> Void = { _ in }) -> KernelTimes
    {
        var formats = [
            KernelTimes.FormatTime(
                kind: .dense, fixedSeconds: 1e-5, secondsPerValue: 1e-9, error: 0.1, samples: 3),
            KernelTimes.FormatTime(
                kind: .mixture, fixedSeconds: 4e-5, secondsPerValue: 2e-9, error: 0.2, samples: 9),
        ]
        change(&formats)
        return KernelTimes(
            device: "cpu", elementType: .float32, settings: ["threads": .integer(2)],
            batches: [
                KernelTimes.Batch(
                    sequences: 1, formats: formats,
                    block: KernelTimes.BlockTime(fixedSeconds: 1e-4, secondsPerCachedValue: 1e-9))
            ])
    }

    @Test("a table is written and read back, and the same one gives the same bytes")
    func roundTrip() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/kernel-times.json"
        try table().write(path)
        #expect(try KernelTimes.read(path) == table())
        let first = try Data(contentsOf: URL(fileURLWithPath: path))
        try table().write(path)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == first)
        let mixture = try #require(table().batches[0].time(of: .mixture))
        #expect(abs(mixture.seconds(values: 1_000) - 4.2e-5) < 1e-12)
    }

    @Test("tables that mean nothing are refused")
    func refused() throws {
        #expect(throws: ManifestError.time("formats", "lacks dense")) {
            try table { $0.removeFirst() }.validate()
        }
        #expect(throws: ManifestError.time("formats", "has mixture twice")) {
            try table { $0.append($0[1]) }.validate()
        }
        #expect(throws: ManifestError.self) {
            try table {
                $0[0] = KernelTimes.FormatTime(
                    kind: .dense, fixedSeconds: -.infinity, secondsPerValue: 0, error: 0,
                    samples: 1)
            }.validate()
        }
        #expect(throws: ManifestError.time("batches", "is empty")) {
            try KernelTimes(device: "", elementType: .float32, settings: [:], batches: [])
                .validate()
        }
        let one = table().batches[0]
        #expect(throws: ManifestError.time("sequences", "does not ascend from 1")) {
            try KernelTimes(
                device: "", elementType: .float32, settings: [:], batches: [one, one]
            ).validate()
        }
    }
}
