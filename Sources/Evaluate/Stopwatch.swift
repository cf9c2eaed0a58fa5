import Foundation
import Tensors

/// Times a short piece of work on a device by repeating it.
struct Stopwatch {
    let device: Device
    /// Spent on one measurement, about.
    var seconds = 0.2
    /// The median of so many rounds counts: other work on the machine disturbs single ones.
    private static let rounds = 5
    private static let most = 10_000

    init(_ device: Device) { self.device = device }

    /// Seconds that `body` takes when it is called over and over.
    /// - Parameter body: given the number of the call, so that it can take turns between operands.
    func time(_ body: (Int) throws -> Void) throws -> Double {
        let count = try repetitions(body)
        return try median { try run(count, body) }
    }

    /// Seconds that `whole` takes more than `part`, a part of it: measured in turns, so that what slows the
    /// machine slows both.
    func difference(
        of whole: (Int) throws -> Void, and part: (Int) throws -> Void
    ) throws -> Double {
        let count = try repetitions(whole)
        _ = try run(3, part)
        return try median { try run(count, whole) - run(count, part) }
    }

    /// Bytes per second of a pure read: the sum of a float32 tensor of so many bytes.
    func readBandwidth(bytes: Int) throws -> Double {
        let tensor = try Tensor.noise([bytes / 4], seed: 1, on: device).converted(to: .float32)
        return Double(bytes) / (try time { _ in _ = try tensor.sum() })
    }

    private func median(_ measure: () throws -> Double) rethrows -> Double {
        try (0..<Self.rounds).map { _ in try measure() }.sorted()[Self.rounds / 2]
    }

    /// How often `body` must be called in a round.
    private func repetitions(_ body: (Int) throws -> Void) throws -> Int {
        // The first calls allocate, choose algorithms and fill caches.
        _ = try run(3, body)
        let once = Swift.max(try run(3, body), 1e-9)
        return Swift.min(Self.most, Swift.max(3, Int(seconds / Double(Self.rounds) / once)))
    }

    /// Seconds per call.
    private func run(_ count: Int, _ body: (Int) throws -> Void) throws -> Double {
        try TorchRuntime.synchronize(device)
        let start = DispatchTime.now().uptimeNanoseconds
        for call in 0..<count { try body(call) }
        try TorchRuntime.synchronize(device)
        return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9 / Double(count)
    }
}
