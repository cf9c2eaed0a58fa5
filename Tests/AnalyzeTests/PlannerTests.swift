import Artifacts
import TensorNetworks
import Tensors
import Testing

@testable import Analyze

@Suite("Planner")
struct PlannerTests {
    @Test("a plan keeps to its budget, and more budget never costs more quality")
    func budgets() throws {
        let map = try TestData.map(layers: 8)
        var last = Double.infinity
        for percent in stride(from: 15, through: 100, by: 5) {
            let keep = Double(percent) / 100
            let proposal = try Planner(map, within: .keep(keep)).propose()
            let count = try proposal.plan.parameterCount()
            #expect(count == proposal.parameterCount)
            #expect(Double(count) <= keep * Double(map.parameterCount))
            #expect(proposal.isOptimal)
            #expect(proposal.lowerBound <= proposal.predictedKL)
            #expect(proposal.predictedKL <= last + 1e-13)
            last = proposal.predictedKL
            try proposal.plan.validate()
            #expect(proposal.plan.source == map.source)
            #expect(proposal.plan.matrices.map(\.name) == map.matrices.map(\.name))
        }
        #expect(last == 0)
    }

    @Test("what the budget pays for stays dense, and is in the plan")
    func dense() throws {
        let map = try TestData.map(layers: 2)
        let proposal = try Planner(map, within: .keep(1)).propose()
        #expect(proposal.choices.allSatisfy { $0.format == .dense })
        #expect(proposal.plan.matrices.flatMap(\.patches).allSatisfy { $0.format == .dense })
        #expect(proposal.predictedKL == 0 && proposal.lowerBound == 0)
        #expect(proposal.byteCount == 2 * map.parameterCount)
    }

    @Test("budgets in bytes count row numbers, and the plan says what it was asked for")
    func bytes() throws {
        let map = try TestData.map(layers: 3)
        var planner = Planner(map, within: .bytes(2 * map.parameterCount / 2 + 5_000))
        #expect(throws: PlanError.needsModel) { try planner.propose() }
        planner.model = ModelRemainder(try TestData.configuration(), otherBytes: 5_000)
        let proposal = try planner.propose()
        #expect(proposal.allowance.unit == .bytes)
        #expect(proposal.byteCount <= map.parameterCount)
        #expect(proposal.byteCount > map.parameterCount * 98 / 100, "the budget is used")
        let settings = proposal.plan.settings
        #expect(settings["planner"] == .string("knapsack"))
        #expect(settings["budget"] == .object(["bytes": .integer(map.parameterCount + 5_000)]))
        #expect(settings["predicted_kl"] == .number(proposal.predictedKL))
        #expect(settings["lower_bound"] == .number(proposal.lowerBound))
        #expect(settings["rank_multiple"] == nil)
        // The same map and budget, the same plan.
        #expect(try planner.propose().plan == proposal.plan)
    }

    @Test("values of one byte are counted with the scales of their rows, and the plan says so")
    func quantized() throws {
        let map = try TestData.map(layers: 3)
        func planner(_ weights: ElementType?) throws -> Planner {
            var planner = Planner(map, within: .bytes(map.parameterCount / 2 + 5_000))
            planner.model = ModelRemainder(try TestData.configuration(), otherBytes: 5_000)
            planner.weights = weights
            return planner
        }
        let proposal = try planner(.int8).propose()
        #expect(proposal.byteCount <= map.parameterCount / 2)
        #expect(proposal.byteCount > map.parameterCount / 2 * 95 / 100, "the budget is used")
        #expect(proposal.plan.settings["weights"] == .string("I8"))
        var counted = 0
        for matrix in proposal.plan.matrices {
            for patch in matrix.patches {
                #expect(patch.elementType == .int8)
                let parts = try patch.format.parts(rows: matrix.rows, columns: matrix.columns)
                counted += parts.reduce(0) {
                    $0 + ($1.isIndex ? 4 * $1.count : $1.count + 4 * $1.shape[0])
                }
            }
        }
        #expect(counted == proposal.byteCount)
        // Half the bytes buy more than what they buy of bfloat16.
        #expect(try proposal.predictedKL < planner(nil).propose().predictedKL)
        let dense = try Planner(map, within: .keep(1)).propose().plan.storing(as: .float8e4m3)
        #expect(dense.matrices.allSatisfy { $0.isCompressed })
        try dense.validate()
    }

    @Test("ranks that are no multiple are left out")
    func rankMultiple() throws {
        let map = try TestData.map(layers: 3, ranks: 40)
        var planner = Planner(map, within: .keep(0.5))
        let free = try planner.propose()
        planner.rankMultiple = 8
        let restricted = try planner.propose()
        #expect(restricted.plan.settings["rank_multiple"] == .integer(8))
        for choice in restricted.choices {
            switch choice.format {
            case .dense: continue
            case .lowRank(let rank), .pivotedLowRank(let rank): #expect(rank % 8 == 0)
            default: Issue.record("\(choice.format)")
            }
        }
        #expect(free.choices != restricted.choices)
        #expect(free.predictedKL <= restricted.predictedKL)
        planner.rankMultiple = 0
        #expect(throws: PlanError.rankMultiple(0)) { try planner.propose() }
    }

    @Test("the least that is possible is in the error")
    func tooSmall() throws {
        let map = try TestData.map(layers: 1)
        let least = map.matrices.reduce(0) {
            $0 + ($1.candidates.map(\.parameters).min() ?? 0)
        }
        let limit = Int(0.01 * Double(map.parameterCount))
        let error = #expect(throws: PlanError.self) {
            try Planner(map, within: .keep(0.01)).propose()
        }
        #expect(error == .tooSmall(unit: .parameters, limit: limit, least: least))
        #expect(error.map { "\($0)".contains("\(least)") } ?? false)
    }

    @Test("maps that say nothing, or nonsense")
    func nonsense() throws {
        let source = try TestData.fingerprint()
        let empty = SensitivityMap(source: source, settings: [:], matrices: [])
        #expect(throws: PlanError.emptyMap) { try Planner(empty, within: .keep(0.5)).propose() }
        let nan = MatrixSensitivity(
            name: "m", rows: 8, columns: 8, elementType: .float32, score: 0, entropy: 0,
            spectrum: [],
            candidates: [
                Candidate(
                    format: .lowRank(rank: 1), parameters: 16, bytes: 64, predictedKL: .nan)
            ])
        let map = SensitivityMap(source: source, settings: [:], matrices: [nan])
        let error = #expect(throws: PlanError.self) {
            try Planner(map, within: .keep(0.5)).propose()
        }
        #expect(error.map { "\($0)".contains("predicted_kl") } ?? false)
    }

    /// Low rank at a tenth of dense's time per value, the others at dense's.
    private func times(_ kinds: [Format.Kind] = [.lowRank, .pivotedLowRank]) -> KernelTimes {
        let formats = ([.dense] + kinds).map { kind in
            KernelTimes.FormatTime(
                kind: kind, fixedSeconds: 1e-6, secondsPerValue: kind == .lowRank ? 1e-10 : 1e-9,
                error: 0, samples: 4)
        }
        return KernelTimes(
            device: "cpu", elementType: .float32, settings: [:],
            batches: [
                KernelTimes.Batch(
                    sequences: 2, formats: formats,
                    block: KernelTimes.BlockTime(fixedSeconds: 2e-6, secondsPerCachedValue: 1e-10))
            ])
    }

    @Test("a plan that must be fast is, costs what that costs, and says what cannot be reached")
    func decodeRate() throws {
        let map = try TestData.map(layers: 4)
        let time = try DecodeTime(
            times(), for: TestData.configuration(), context: 100, sequences: 2)
        // 3 layers of 2 µs and of 2 · 32 · 100 · 2 cached values; a head of 512 · 64 values.
        let (blocks, attention, head) = (6e-6, 3 * 12_800 * 1e-10, 1e-6 + 32_768 * 1e-9)
        let other: Double = blocks + attention + head
        #expect(abs(time.otherSeconds - other) < 1e-12)

        var planner = Planner(map, within: .keep(0.7))
        let free = try planner.propose()
        #expect(free.stepSeconds == nil && free.choices.allSatisfy { $0.seconds == nil })
        planner.decode = DecodeGoal(time)
        let timed = try planner.propose()
        #expect(timed.plan == free.plan, "predicting the time changes nothing")
        let step = try #require(timed.stepSeconds)
        let sum = timed.choices.reduce(time.otherSeconds) { $0 + ($1.seconds ?? 0) }
        #expect(abs(step - sum) < 1e-15)
        #expect(step < time.denseStepSeconds(of: map))

        planner.decode = DecodeGoal(time, tokensPerSecond: 1.15 / step)
        let fast = try planner.propose()
        let fastStep = try #require(fast.stepSeconds)
        #expect(fastStep <= step / 1.15)
        #expect(fast.predictedKL > free.predictedKL && fast.lowerBound <= fast.predictedKL)
        #expect(fast.lowerBound >= free.lowerBound)
        #expect(fast.parameterCount <= Int(0.7 * Double(map.parameterCount)))
        #expect(
            fast.plan.settings["decode"]
                == .object([
                    "tokens_per_second": .number(1.15 / step), "context": .integer(100),
                    "concurrency": .integer(2),
                ]))
        #expect(try planner.propose().plan == fast.plan)

        planner.decode = DecodeGoal(time, tokensPerSecond: 1 / time.otherSeconds)
        let error = #expect(throws: PlanError.self) { try planner.propose() }
        guard case .tooSlow(_, let reachable, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        planner.decode = DecodeGoal(time, tokensPerSecond: reachable * 0.999)
        #expect(try #require(planner.propose().stepSeconds) <= 1 / (reachable * 0.999))
    }

    @Test("times that a plan would need and that were not measured are asked for")
    func missingTimes() throws {
        let (map, configuration) = (try TestData.map(layers: 1), try TestData.configuration())
        #expect(throws: PlanError.noBatch(1, measured: [2])) {
            try DecodeTime(times(), for: configuration, context: 8, sequences: 1)
        }
        #expect(throws: PlanError.context(4_096, limit: 2_048)) {
            try DecodeTime(times(), for: configuration, context: 4_096, sequences: 2)
        }
        var planner = Planner(map, within: .keep(0.5))
        planner.decode = DecodeGoal(
            try DecodeTime(
                times([.pivotedLowRank]), for: configuration, context: 8, sequences: 2))
        #expect(throws: PlanError.noTimes(.lowRank)) { try planner.propose() }
    }
}
