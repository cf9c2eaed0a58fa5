import Artifacts
import Testing

@testable import Analyze

@Suite("Plan budgets")
struct PlanBudgetTests {
    let map: SensitivityMap
    let model: ModelRemainder

    init() throws {
        map = try TestData.map(layers: 2)
        model = ModelRemainder(try TestData.configuration(), otherBytes: 100_000)
    }

    @Test("a share counts parameters")
    func keep() throws {
        let all = 2 * (64 * 96 + 172 * 96)
        #expect(map.parameterCount == all)
        let half = try PlanBudget.keep(0.5).allowance(for: map, in: nil)
        #expect(half.unit == .parameters && half.limit == all / 2)
        #expect(try PlanBudget.keep(1).allowance(for: map, in: nil).limit == all)
        for bad in [0, -0.5, 1.1, .nan, .infinity] {
            #expect(throws: PlanError.self) {
                try PlanBudget.keep(bad).allowance(for: map, in: nil)
            }
        }
    }

    @Test("bytes are shared with everything that is not in linear layers")
    func bytes() throws {
        let rest = try PlanBudget.bytes(130_000).allowance(for: map, in: model)
        #expect(rest.unit == .bytes && rest.limit == 30_000)
        #expect(throws: PlanError.noRoom(budget: 100_000, others: 100_000)) {
            try PlanBudget.bytes(100_000).allowance(for: map, in: model)
        }
        #expect(throws: PlanError.needsModel) {
            try PlanBudget.bytes(130_000).allowance(for: map, in: nil)
        }
    }

    @Test("memory is shared with keys and values and with working space as well")
    func memory() throws {
        let need = try MemoryNeed(model.configuration, context: 1_000, concurrency: 2)
        // Two of 3 layers · 4 heads · width 8, 2 bytes each.
        #expect(need.keyValueBytes == 2 * 3 * 4 * 8 * 1_000 * 2 * 2)
        let widths = 3 * 64 + 3 * 172 + 2 * 64 + 2 * 32
        #expect(need.workingBytes == 2 * 4 * 2 * 512 + 4 * 2_000 * widths + 1 << 30)
        let budget = PlanBudget.memory(bytes: 2 << 30, context: 1_000, concurrency: 2)
        let rest = try budget.allowance(for: map, in: model)
        #expect(rest.limit == 2 << 30 - 100_000 - need.keyValueBytes - need.workingBytes)
        #expect(rest.need == need)
        // A longer context and more sequences leave less.
        let more = try MemoryNeed(model.configuration, context: 2_048, concurrency: 64)
        #expect(more.keyValueBytes == 2 * 3 * 4 * 8 * 2_048 * 64 * 2)
        #expect(more.workingBytes > need.workingBytes)
    }

    @Test("contexts and concurrencies that cannot be")
    func absurd() throws {
        for (context, concurrency) in [
            (0, 1), (-1, 1), (2_049, 1), (.max, 1), (1, 0), (1, -1), (1, .max),
        ] {
            let error = #expect(throws: PlanError.self) {
                try MemoryNeed(
                    model.configuration, context: context, concurrency: concurrency)
            }
            #expect(error.map { !"\($0)".contains("\n") } ?? false)
        }
        #expect(throws: PlanError.self) {
            try PlanBudget.memory(bytes: 1 << 20, context: 1, concurrency: 1)
                .allowance(for: map, in: model)
        }
    }
}
