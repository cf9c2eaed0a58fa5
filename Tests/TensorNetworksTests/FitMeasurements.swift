import Foundation
import TensorNetworks
import Tensors
import Testing

// Prints times and errors; not a test. MINIMA_MEASURE=1 swift test -c release --filter FitMeasurements
@Suite(
    "FitMeasurements",
    .enabled(if: ProcessInfo.processInfo.environment["MINIMA_MEASURE"] != nil), .serialized)
struct FitMeasurements {
    func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return Double((ContinuousClock.now - start).components.attoseconds) / 1e18
            + Double((ContinuousClock.now - start).components.seconds)
    }

    @Test func closedForms() throws {
        TorchRuntime.threads = 2
        for (m, n, k) in [(512, 512, 256), (256, 512, 128), (1536, 512, 256), (512, 1536, 256)] {
            let w = try Samples.matrix(m, n, seed: 1)
            let a = try Samples.moment(n, seed: 2)
            let g = try Samples.moment(m, seed: 3)
            for output in [nil, g] {
                var low: LowRank?
                let make = try seconds {
                    let objective = try FitObjective(weight: w, input: a, output: output)
                    low = try WeightedSpectrum(of: objective).lowRank(k)
                }
                let pivot = try seconds { _ = try low?.pivoted() }
                let objective = try FitObjective(weight: w, input: a, output: output)
                let whole = try seconds {
                    _ = try Factorization.fit(objective, format: .pivotedLowRank(rank: k))
                }
                let svd =
                    try output != nil
                    ? 0
                    : seconds {
                        let l = try #require(try a.cholesky())
                        let (u, s, vt) = try w.matmul(l).svd()
                        _ = try l.solveTriangular(
                            (u * s).narrowed(1, 0..<k).matmul(vt.narrowed(0, 0..<k)), upper: false,
                            onLeft: false)
                    }
                print(
                    "\(m)x\(n) k \(k) two-sided \(output != nil): closed \(make) pivot \(pivot) fit \(whole) cholesky+svd \(svd)"
                )
            }
        }
    }

    func tiny(_ name: String) throws -> Tensor {
        let data = try Data(contentsOf: URL(fileURLWithPath: "Models/tiny/model.safetensors"))
        let length = Int(data[0]) | Int(data[1]) << 8 | Int(data[2]) << 16
        let header = try #require(
            try JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: Any])
        let entry = try #require(header[name] as? [String: Any])
        let shape = try #require(entry["shape"] as? [Int])
        let offsets = try #require(entry["data_offsets"] as? [Int])
        let bytes = [UInt8](data[(8 + length + offsets[0])..<(8 + length + offsets[1])])
        let bits = stride(from: 0, to: bytes.count, by: 2).map {
            Float(bitPattern: UInt32(bytes[$0]) << 16 | UInt32(bytes[$0 + 1]) << 24)
        }
        return try Tensor(bits, shape: shape)
    }

    @Test func tinyFormats() throws {
        TorchRuntime.threads = 2
        for (name, keeps) in [
            ("model.layers.3.self_attn.q_proj.weight", [0.65]),
            ("model.layers.3.self_attn.v_proj.weight", [0.65, 0.35]),
            ("model.layers.3.mlp.up_proj.weight", [0.65]),
        ] {
            let w = try tiny(name)
            let (m, n) = (w.shape[0], w.shape[1])
            let objective = try FitObjective(
                weight: w, input: Samples.moment(n, seed: 2), output: Samples.moment(m, seed: 3))
            for keep in keeps.prefix(2) {
                try report(objective, name, Int(keep * Double(m * n)), keep)
            }
        }
    }

    @Test func large() throws {
        TorchRuntime.threads = 2
        for (m, n) in [(512, 512), (1536, 512)] {
            let w = try Samples.matrix(m, n, seed: 1)
            let objective = try FitObjective(
                weight: w, input: Samples.moment(n, seed: 2), output: Samples.moment(m, seed: 3))
            try report(objective, "random \(m)x\(n)", Int(0.65 * Double(m * n)), 0.65)
        }
    }

    func report(_ objective: FitObjective, _ name: String, _ budget: Int, _ keep: Double) throws {
        var formats = Format.Kind.allCases.filter { $0 != .dense }.compactMap {
            Format.fitting($0, rows: objective.rows, columns: objective.columns, parameters: budget)
        }
        if case .mixture(let terms)? = formats.last, case .lowRank = terms[0],
            let pivoted = Format.fitting(
                .pivotedLowRank, rows: objective.rows, columns: objective.columns,
                parameters: budget / 2)
        {
            formats.append(.mixture([pivoted, terms[1]]))
        }
        for format in formats {
            let kind = format.kind
            let plain = try objective.relativeError(
                of: Factorization.decomposing(objective.target, format: format).reconstructed())
            var line =
                "\(name) keep \(keep) \(format.kind.rawValue) plain \(String(format: "%.5f", plain))"
            for iterations in [40, 100] {
                var error = 0.0
                let time = try seconds {
                    error = try Factorization.fit(
                        objective, format: format,
                        options: FitOptions(iterations: iterations, tolerance: 1e-4)
                    ).relativeError
                }
                line += String(format: "  [%d] %.5f %.2fs", iterations, error, time)
                if kind == .lowRank || kind == .pivotedLowRank { break }
            }
            line += "\n"
            FileHandle.standardError.write(Data(line.utf8))
        }
    }
}
