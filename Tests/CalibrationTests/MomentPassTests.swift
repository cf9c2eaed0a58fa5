import Artifacts
import Foundation
import Models
import Tensors
import Testing

@testable import Calibration

@Suite("MomentPass")
struct MomentPassTests {
    private static let tiny = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Models/tiny").path

    private let windows = (0..<3).map { window in
        (0..<24).map { (window * 977 + $0 * 31 + 7) % 4_096 }
    }

    private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("minima-moments-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try body(folder)
    }

    private func pass(
        _ root: String, _ windows: [[Int]]? = nil,
        extent: MomentPass.Extent = .inputsAndOutputs
    ) throws -> MomentPass {
        let checkpoint = try Checkpoint(Self.tiny)
        return try MomentPass(
            checkpoint, try ModelConfiguration(folder: Self.tiny),
            source: try checkpoint.fingerprint(), windows: windows ?? self.windows,
            extent: extent, on: .cpu, root: root)
    }

    private func files(_ folder: String) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            files[name] = FileManager.default.contents(atPath: "\(folder)/\(name)")
        }
        return files
    }

    /// Everything a block's layers read and compute, over the whole model at once.
    private final class Everything: LinearObserver {
        var inputs: [(Projection.Input, Tensor)] = []
        var outputs: [(Projection, Tensor)] = []
        func willRead(_ x: Tensor, _ input: Projection.Input) throws { inputs.append((input, x)) }
        func didCompute(_ y: Tensor, _ projection: Projection) throws {
            outputs.append((projection, y))
        }
    }

    private func relativeDifference(_ a: Tensor, _ b: Tensor) throws -> Double {
        let (a, b) = (try a.converted(to: .float64), try b.converted(to: .float64))
        return try (a - b).norm().scalar() / b.norm().scalar()
    }

    @Test("moments are those of one recorded pass through the whole model")
    func wholeModel() throws {
        try withFolder { root in
            let pass = try pass(root)
            try pass.run { _, _, _ in }
            let configuration = pass.configuration
            let model = try CausalLanguageModel(Checkpoint(Self.tiny), configuration)
            let layers = configuration.layerCount
            var inputs = [[Projection.Input: MomentSum]](repeating: [:], count: layers)
            var outputs = [[Projection: MomentSum]](repeating: [:], count: layers)
            for (index, window) in windows.enumerated() {
                try withGradients {
                    let ids = try Tensor(window, shape: [1, window.count])
                    var x = try model.ends.embed(ids).detached().requiringGradient()
                    var seen: [Everything] = []
                    var none: KVCache?
                    for block in model.blocks {
                        let everything = Everything()
                        x = try block.forward(
                            x, rotary: model.rotary, cache: &none, observer: everything)
                        seen.append(everything)
                    }
                    let logits = try model.ends.project(try model.ends.normalize(x)).squeezed(0)
                    let chance = try Tensor.uniform([window.count, 1], seed: UInt64(index))
                    let labels = try logits.detached().softmax().cumulativeSum(-1).less(chance)
                        .converted(to: .int64).sum(-1).clamped(0...4_095).converted(to: .int64)
                    let loss = try logits.crossEntropy(labels, mean: false).sum()
                    let gradients = try loss.gradients(
                        for: seen.flatMap { $0.outputs.map(\.1) })
                    var next = gradients[...]
                    for (layer, everything) in seen.enumerated() {
                        for (input, x) in everything.inputs {
                            let x = try x.detached()
                            try inputs[layer][input, default: MomentSum()].add(x, x)
                        }
                        for (projection, _) in everything.outputs {
                            let g = next.removeFirst()
                            try outputs[layer][projection, default: MomentSum()].add(g, g)
                        }
                    }
                }
            }
            for layer in 0..<layers {
                for input in Projection.Input.allCases {
                    let expected = try #require(inputs[layer][input]).mean()
                    let found = try pass.cache.moment(of: input, layer: layer)
                    #expect(try relativeDifference(found, expected) < 1e-5)
                }
                for projection in Projection.allCases {
                    let expected = try #require(outputs[layer][projection]).mean()
                    let found = try pass.cache.moment(of: projection, layer: layer)
                    #expect(try relativeDifference(found, expected) < 1e-4)
                }
            }
        }
    }

    private struct Stop: Error {}

    @Test("a pass that is stopped anywhere goes on to the same bytes, and leaves only moments")
    func resuming() throws {
        try withFolder { root in
            let whole = try pass(root + "/whole")
            try whole.run { _, _, _ in }
            let stopped = try pass(root + "/stopped")
            var stops = 0
            while true {
                var steps = 0
                do {
                    // A block takes 3 steps each way; what was done is stepped over at once.
                    try stopped.run { done, _, _ in
                        steps += 1
                        if steps > 4 * (stops + 1) { throw Stop() }
                    }
                    break
                } catch is Stop {
                    stops += 1
                }
            }
            #expect(stops >= 5)
            let expected = try files(whole.cache.folder)
            #expect(expected.count == 2 * 6 + 1, "moments of six blocks and the lock")
            #expect(try files(stopped.cache.folder) == expected)
        }
    }

    @Test(
        "moments that are not kept are handed over all the same, after any stop; nothing else stays",
        arguments: [MomentPass.Keeping.outputs, .nothing])
    func handedOver(_ keeping: MomentPass.Keeping) throws {
        try withFolder { root in
            let whole = try pass(root + "/whole")
            try whole.run { _, _, _ in }
            var pass = try pass(root + "/streamed")
            pass.keeping = keeping
            var (seen, stops, allowed): (Set<Int>, Int, Int) = ([], 0, 3)
            while seen.count < 6 {
                var steps = 0
                do {
                    try pass.run { _, _, _ in
                        steps += 1
                        if steps > allowed { throw Stop() }
                    } isWanted: {
                        !seen.contains($0)
                    } use: { layer, moments in
                        for input in Projection.Input.allCases {
                            let expected = try whole.cache.moment(of: input, layer: layer)
                            #expect(
                                try relativeDifference(moments.moment(of: input), expected) < 1e-6)
                        }
                        for projection in Projection.allCases {
                            let expected = try whole.cache.moment(of: projection, layer: layer)
                            #expect(
                                try relativeDifference(moments.moment(of: projection), expected)
                                    < 1e-6)
                        }
                        #expect(seen.insert(layer).inserted, "block \(layer) twice")
                    }
                } catch is Stop {
                    stops += 1
                    allowed += 3
                }
            }
            #expect(stops >= 5)
            let outputs = (0..<6).map { "outputs-\($0).safetensors" }
            #expect(
                Set(try files(pass.cache.folder).keys)
                    == Set((keeping == .outputs ? outputs : []) + ["lock"]))
        }
    }

    @Test("of very wide outputs the diagonal is collected")
    func diagonals() throws {
        let width = MomentCache.widestOutput + 1
        let sums = BlockSums()
        let parts = try (0..<2).map { try Tensor.normal([1, 3, width], seed: UInt64($0)) }
        for part in parts { try sums.add(part, .gate) }
        let found = try #require(try sums.takeOutputs()[.gate])
        let all = try Tensor.concatenated(parts, along: 1).converted(to: .float64)
        let expected = try all.squared().sum(1).squeezed(0) / 6
        #expect(try relativeDifference(found, expected) < 1e-12)
    }

    @Test("a pass over inputs alone has the same moments, wherever either was stopped")
    func inputsAlone() throws {
        try withFolder { root in
            let whole = try pass(root + "/whole")
            try whole.run { _, _, _ in }
            let expected = try files(whole.cache.folder)
            for stop in [1, 5, 11, 16] {
                let folder = root + "/\(stop)"
                // A pass over both is stopped, one over the inputs too, and then each is finished.
                for (extent, limit) in [
                    (MomentPass.Extent.inputsAndOutputs, stop), (.inputs, 2 * stop),
                ] {
                    var steps = 0
                    do {
                        try pass(folder, extent: extent).run { _, _, _ in
                            steps += 1
                            if steps > limit { throw Stop() }
                        }
                    } catch is Stop {}
                }
                try pass(folder, extent: .inputs).run { _, _, _ in }
                let inputs = try files(pass(folder).cache.folder)
                    .filter { $0.key.hasPrefix("inputs") }
                #expect(inputs == expected.filter { $0.key.hasPrefix("inputs") })
                #expect(inputs.count == 6)
                let both = try pass(folder)
                try both.run { _, _, _ in }
                #expect(try files(both.cache.folder) == expected)
            }
        }
    }

    @Test("other text has other moments; text that the model cannot read is refused")
    func keys() throws {
        try withFolder { root in
            let (one, other) = (try pass(root), try pass(root, [[1, 2, 3]]))
            #expect(one.cache.folder != other.cache.folder)
            #expect(one.cache.folder == (try pass(root).cache.folder))
            #expect(throws: CalibrationError.self) { try pass(root, [[4_096]]) }
            #expect(throws: CalibrationError.self) { try pass(root, []) }
        }
    }
}

extension MomentSum {
    fileprivate func mean() throws -> Tensor {
        var sum = self
        return try sum.takeMean()
    }
}
