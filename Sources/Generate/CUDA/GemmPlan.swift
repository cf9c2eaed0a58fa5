import Kernels

/// How thread blocks share out a product with many columns (`gemm.cu`): in tiles of rows, and where those are too few for
/// all multiprocessors, in parts of their sums.
struct GemmPlan: Equatable {
    /// What is multiplied, by the shapes alone.
    struct Problem: Hashable {
        let parts: [RowPasses.Part]
        let pairing: DeviceLayer.Pairing
        let columns: Int
        /// Tiles of rows at most; `nil` for any number.
        var mostTiles: Int?
    }

    /// Columns of a tile: 64 or 128.
    let tileColumns: Int
    /// Columns of a block of them; blocks are multiplied with the same weights.
    let columnsEach: Int
    let columnBlocks: Int
    /// Rows that a warpgroup multiplies at a time.
    let rows: Int
    /// Blocks that share a tile's sums: 1, 2 or 4.
    let shares: Int
    /// Of rows.
    let tiles: Int
    /// Of each thread block, in turn.
    let units: [[Unit]]

    struct Unit: Equatable {
        let part: Int
        let row: Int
        let tile: Int
        let columnBlock: Int
        /// Of the four parts of a sum, and how many of those.
        let quarter: Int
        let quarters: Int
    }

    /// Columns at most.
    static let mostColumns = 256
    /// Registers hold the sums of so many rows: three sets of them, two of which pairs with inputs of their own have twice.
    private static let heights = [16, 24, 32, 40, 48, 56, 64, 80, 96, 112]

    /// Matrices whose rows stand in a stage of a warpgroup.
    private static func box(_ rows: Int, _ pairing: DeviceLayer.Pairing) -> Int {
        pairing == .shared ? rows / 2 : rows
    }

    /// Rows of a copy.
    func box(_ pairing: DeviceLayer.Pairing) -> Int { Self.box(rows, pairing) }

    /// Values of sums that meet in memory.
    func partialCount(_ pairing: DeviceLayer.Pairing) -> Int {
        shares == 1 ? 0 : tiles * columnBlocks * 4 * (pairing == .apart ? 2 : 1) * rows / 2 * 256
    }

    /// The plan that takes least, by `microseconds`.
    init(_ problem: Problem, multiprocessors: Int) {
        precondition(problem.columns <= Self.mostColumns, "columns of one launch")
        var best: (plan: GemmPlan, cost: Double)?
        for tile in problem.columns > 64 ? [128, 64] : [64] {
            let layout = Layout(problem.columns, tile: tile)
            for rows in Self.heights {
                if problem.pairing == .shared && rows % 16 != 0 { continue }
                if problem.pairing == .apart && rows > 80 { continue }
                for shares in [1, 2, 4] {
                    let found = Self.plan(problem, layout, rows: rows, shares, multiprocessors)
                    if let most = problem.mostTiles, found.plan.tiles > most { continue }
                    if best.map({ found.cost < $0.cost }) ?? true { best = found }
                }
            }
        }
        guard let best else {
            preconditionFailure("a residual stream of at most \(224 * multiprocessors) values")
        }
        self = best.plan
    }

    private init(
        _ layout: Layout, rows: Int, shares: Int, tiles: Int, units: [[Unit]]
    ) {
        (tileColumns, columnsEach, columnBlocks) = (layout.tile, layout.each, layout.blocks)
        (self.rows, self.shares, self.tiles, self.units) = (rows, shares, tiles, units)
    }

    /// Of columns.
    private struct Layout {
        let tile: Int
        let each: Int
        let blocks: Int

        init(_ columns: Int, tile: Int) {
            self.tile = tile
            blocks = (columns + tile - 1) / tile
            each = ((columns + blocks - 1) / blocks + 7) / 8 * 8
        }
    }

    /// What a unit takes, in µs of an H200: fitted to 230 launches (LOG.md), right to 12%, and the plan that it chooses to 3%
    /// of the best.
    private static func microseconds(
        chunks: Double, rows: Int, _ layout: Layout, shares: Int
    ) -> Double {
        let kilobytes = chunks * 128 / 1e3
        let sums = shares > 1 ? Double(layout.tile * rows * 16 / shares) / 1e3 : 0
        return 4.26 + kilobytes * (0.0242 * Double(rows) + 0.0087 * Double(layout.each))
            + 0.148 * sums
    }

    private static func plan(
        _ problem: Problem, _ layout: Layout, rows: Int, _ shares: Int, _ multiprocessors: Int
    ) -> (plan: GemmPlan, cost: Double) {
        let groups = layout.tile == 64 ? 2 : 1
        let height = groups * box(rows, problem.pairing)
        func chunks(_ part: RowPasses.Part) -> Int { (part.columns + 63) / 64 }
        let dealt = problem.pairing == .none ? problem.parts : Array(problem.parts.prefix(1))
        var (all, tiles) = ([(unit: Unit, cost: Double)](), 0)
        for (index, part) in dealt.enumerated() {
            let sum =
                problem.pairing == .apart
                ? problem.parts.reduce(0) { $0 + chunks($1) } : chunks(part)
            let cost = microseconds(
                chunks: Double(sum) / Double(shares), rows: groups * rows, layout,
                shares: shares)
            for row in stride(from: 0, to: part.rows, by: height) {
                for quarter in stride(from: 0, to: 4, by: 4 / shares) {
                    for block in 0..<layout.blocks {
                        all.append(
                            (
                                Unit(
                                    part: index, row: row, tile: tiles, columnBlock: block,
                                    quarter: quarter, quarters: 4 / shares), cost
                            ))
                    }
                }
                tiles += 1
            }
        }
        let (units, cost) = deal(all, to: multiprocessors)
        let plan = GemmPlan(layout, rows: rows, shares: shares, tiles: tiles, units: units)
        return (plan, cost)
    }

    /// The longest first, each to the block that has least: units of one cost go round in their order.
    private static func deal(
        _ units: [(unit: Unit, cost: Double)], to blocks: Int
    ) -> (units: [[Unit]], longest: Double) {
        var dealt = [[Unit]](repeating: [], count: blocks)
        var loads = [Double](repeating: 0, count: blocks)
        var costs: [Double: [Unit]] = [:]
        for (unit, cost) in units { costs[cost, default: []].append(unit) }
        for (cost, some) in costs.sorted(by: { $0.key > $1.key }) {
            var place = 0
            while place < some.count {
                // Blocks with least take one each, those of one load in their order.
                let order = (0..<blocks).sorted { (loads[$0], $0) < (loads[$1], $1) }
                let limit = loads[order[0]] + cost
                for block in order.prefix(some.count - place) where loads[block] < limit {
                    dealt[block].append(some[place])
                    loads[block] += cost
                    place += 1
                }
            }
        }
        return (dealt, loads.max() ?? 0)
    }
}
