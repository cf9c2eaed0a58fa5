import Testing

@testable import Generate

@Suite("Products with many columns, dealt to thread blocks")
struct GemmPlanTests {
    static let problems: [GemmPlan.Problem] = {
        func part(_ rows: Int, _ columns: Int) -> RowPasses.Part {
            .init(rows: rows, columns: columns)
        }
        let shapes: [([RowPasses.Part], DeviceLayer.Pairing, Int?)] = [
            ([part(8_192, 5_120), part(1_024, 5_120), part(1_024, 5_120)], .none, nil),
            ([part(8_192, 1_928), part(1_024, 520), part(1_024, 520)], .none, nil),
            ([part(5_120, 25_600)], .none, 132),
            ([part(25_600, 5_120), part(25_600, 5_120)], .shared, nil),
            ([part(25_600, 2_616), part(25_600, 2_000)], .apart, nil),
            ([part(151_937, 1_024)], .none, nil),
            ([part(16_384, 64)], .none, 132),
            ([part(8, 8)], .none, 132),
        ]
        return shapes.flatMap { parts, pairing, most in
            [17, 32, 50, 64, 65, 128, 129, 200, 256].map {
                .init(parts: parts, pairing: pairing, columns: $0, mostTiles: most)
            }
        }
    }()

    @Test("every sum of every row and column is one unit's", arguments: problems)
    func everySumOnce(problem: GemmPlan.Problem) {
        let plan = GemmPlan(problem, multiprocessors: 132)
        #expect(plan.units.count == 132)
        #expect(plan.columnsEach * plan.columnBlocks >= problem.columns)
        #expect(plan.columnsEach % 8 == 0 && plan.columnsEach <= plan.tileColumns)
        if let most = problem.mostTiles { #expect(plan.tiles <= most) }
        let height = plan.box(problem.pairing) * (plan.tileColumns == 64 ? 2 : 1)
        var seen: [[Int]: Int] = [:]
        var rows: [Int: [Int]] = [:]
        for unit in plan.units.joined() {
            for quarter in unit.quarter..<unit.quarter + unit.quarters {
                seen[[unit.tile, unit.columnBlock, quarter], default: 0] += 1
            }
            // A tile's units agree on its rows.
            #expect(rows[unit.tile, default: [unit.part, unit.row]] == [unit.part, unit.row])
            rows[unit.tile] = [unit.part, unit.row]
        }
        #expect(seen.count == plan.tiles * plan.columnBlocks * 4)
        #expect(seen.values.allSatisfy { $0 == 1 })
        let parts = problem.pairing == .none ? problem.parts : Array(problem.parts.prefix(1))
        for (index, part) in parts.enumerated() {
            let starts = rows.values.filter { $0[0] == index }.map { $0[1] }.sorted()
            #expect(starts == Array(stride(from: 0, to: part.rows, by: height)))
        }
    }

    @Test("a kernel's stages fit into a thread block's memory, two at least", arguments: problems)
    func memory(problem: GemmPlan.Problem) throws {
        let plan = GemmPlan(problem, multiprocessors: 132)
        let variant = KernelVariant.gemm(plan, pairing: problem.pairing)
        #expect(variant.sharedMemory <= KernelVariant.gemmMemory)
        let stages = try #require(variant.defines["STAGES"].flatMap { Int($0) })
        #expect(stages >= 4)
        let step = try #require(variant.defines["STEP"].flatMap { Int($0) })
        #expect(plan.rows % step == 0 && plan.box(problem.pairing) % 8 == 0)
    }

    @Test("all multiprocessors have their share of a large matrix")
    func balance() {
        for columns in [50, 100, 200] {
            let plan = GemmPlan(
                .init(
                    parts: [
                        .init(rows: 25_600, columns: 5_120), .init(rows: 25_600, columns: 5_120),
                    ],
                    pairing: .shared, columns: columns), multiprocessors: 132)
            let most = plan.units.map(\.count).max() ?? 0
            #expect(Double(plan.units.joined().count) >= 0.8 * Double(132 * most))
        }
    }
}
