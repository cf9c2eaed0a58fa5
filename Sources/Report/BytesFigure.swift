import Artifacts
import TensorNetworks

/// What one plan makes of every matrix, and what each block then takes.
struct BytesFigure {
    let file: String
    let plan: CompressionPlan

    /// One patch with what it takes.
    struct Piece {
        let matrix: String
        let patch: PatchPlan
        let bytes: Int
        let denseBytes: Int

        init(_ matrix: MatrixPlan, _ patch: PatchPlan) throws {
            self.matrix = matrix.name
            self.patch = patch
            let (rows, columns) = (patch.region.rows.count, patch.region.columns.count)
            // What is quantised was of two bytes, as models are stored.
            let width = patch.elementType.isQuantized ? 2 : patch.elementType.byteCount
            bytes = try BytesFigure.sum(
                patch.format.parts(rows: rows, columns: columns, storing: patch.elementType).map {
                    let (bytes, overflow) = $0.count.multipliedReportingOverflow(
                        by: $0.elementType(storing: patch.elementType).byteCount)
                    return overflow ? Int.max : bytes
                }, matrix.name)
            denseBytes = rows * columns * width
        }

        var title: String {
            "\(matrix): \(patch.format.words), \(NumberText.bytes(bytes)) of \(NumberText.bytes(denseBytes))"
        }
    }

    let bytes: Int
    let denseBytes: Int
    let pieces: [Piece]
    let grid: ModelGrid<Piece>

    init(_ plan: CompressionPlan, file: String) throws {
        self.plan = plan
        self.file = file
        var pieces: [Piece] = []
        for matrix in plan.matrices {
            for patch in matrix.patches { pieces.append(try Piece(matrix, patch)) }
        }
        bytes = try Self.sum(pieces.map(\.bytes), file)
        denseBytes = try Self.sum(pieces.map(\.denseBytes), file)
        self.pieces = pieces
        grid = ModelGrid(pieces.map { ($0.matrix, $0) })
    }

    /// A plan may hold together and yet ask for more than any machine stores.
    private static func sum(_ bytes: [Int], _ owner: String) throws(ReportError) -> Int {
        var sum = 0
        for bytes in bytes {
            let (next, overflow) = sum.addingReportingOverflow(bytes)
            guard !overflow, next <= 1 << 60 else { throw .absurdSize(owner) }
            sum = next
        }
        return sum
    }

    var figures: [Markup] {
        let share = NumberText.percent(Double(bytes) / Double(denseBytes))
        return [
            .tag(
                "h3",
                "\(file): \(NumberText.bytes(bytes)) of \(NumberText.bytes(denseBytes)), \(share)"),
            Figure.legend(kinds.map { ($0.colour, $0.words) } + [("outlined", "all dense")]),
            Figure.blocks(
                [
                    Figure.wide("Bytes of each block, its matrices from bottom to top", bars),
                    .tag(
                        "figure",
                        [
                            .tag("figcaption", "Ranks"),
                            .tag("div", ["class": "scroll"], [chips]),
                        ]),
                ], count: grid.blocks.count),
        ]
    }

    var kinds: [Format.Kind] {
        let used = Set(pieces.map(\.patch.format.kind))
        return Format.Kind.allCases.filter(used.contains)
    }

    private var bars: Drawing {
        let step = Figure.blockWidth(grid.blocks.count, few: 34)
        let bar = step - 8
        let names = grid.modules.map(grid.label)
        let room = 26 + (names.map { Drawing.width(of: $0) }.max() ?? 0)
        let left = 44.0
        let plot = Plot(
            width: left + Double(grid.blocks.count) * step + room, height: 270, left: left,
            right: room)
        let most =
            grid.blocks.map { block in
                grid.modules.flatMap { grid.items(block, $0) }.reduce(0) { $0 + $1.denseBytes }
            }.max() ?? 1
        let unit = ByteUnit(for: most)
        let y = Scale(.linear, 0...Double(most) / unit.bytes, to: plot.yRange)
        var drawing = Drawing(
            width: plot.width, height: plot.height, label: "Bytes of each block under \(file)")
        drawing.shapes = axes(plot, y, unit, step: step)
        for (index, block) in grid.blocks.enumerated() {
            let x = left + (Double(index) + 0.5) * step - bar / 2
            drawing.shapes += stack(
                block, x: x, bar, y, unit, labelled: index == grid.blocks.count - 1)
        }
        return drawing
    }

    private func axes(_ plot: Plot, _ y: Scale, _ unit: ByteUnit, step: Double) -> [Markup] {
        var shapes: [Markup] = []
        for tick in y.ticks() {
            let place = y.position(tick.value)
            shapes.append(
                Drawing.line([(plot.left, place), (plot.xRange.1, place)], class: "grid"))
            shapes.append(Drawing.text(tick.label, plot.left - 6, place + 4, .end, class: "tick"))
        }
        for (index, block) in grid.blocks.enumerated()
        where Figure.isNumbered(index, of: grid.blocks.count) {
            shapes.append(
                Drawing.text(
                    ModelGrid<Piece>.blockLabel(block), plot.left + (Double(index) + 0.5) * step,
                    plot.yRange.0 + 17, .middle, class: "tick"))
        }
        shapes.append(Drawing.text(unit.name, 0, 11, class: "name"))
        shapes.append(
            Drawing.text(
                "block", (plot.left + plot.xRange.1) / 2, plot.height - 5, .middle, class: "name"))
        return shapes
    }

    /// One block: what it takes, from bottom to top in the order of `modules`, and what it would take
    /// dense around it.
    private func stack(
        _ block: Int?, x: Double, _ bar: Double, _ y: Scale, _ unit: ByteUnit, labelled: Bool
    ) -> [Markup] {
        var (shapes, sum, dense): ([Markup], Int, Int) = ([], 0, 0)
        var middles: [Double] = []
        func place(_ bytes: Int) -> Double { y.position(Double(bytes) / unit.bytes) }
        for module in grid.modules {
            let start = sum
            for piece in grid.items(block, module) {
                shapes.append(
                    Drawing.rect(
                        x, place(sum + piece.bytes), bar, place(sum) - place(sum + piece.bytes),
                        class: "piece \(piece.patch.format.kind.colour)", title: piece.title))
                sum += piece.bytes
                dense += piece.denseBytes
            }
            middles.append((place(start) + place(sum)) / 2)
        }
        shapes.insert(
            Drawing.rect(
                x - 2, place(dense), bar + 4, place(0) - place(dense), class: "outline",
                title:
                    "block \(ModelGrid<Piece>.blockLabel(block)): \(NumberText.bytes(sum)) of \(NumberText.bytes(dense))"
            ), at: 0)
        if labelled {
            let places = LabelLayout.places(
                middles, spacing: 13, within: place(max(dense, sum)) + 6...place(0) - 4)
            for (index, module) in grid.modules.enumerated() {
                shapes.append(
                    Drawing.line(
                        [(x + bar + 3, middles[index]), (x + bar + 15, places[index])],
                        class: "leader"))
                shapes.append(
                    Drawing.text(grid.label(module), x + bar + 18, places[index] + 4))
            }
        }
        return shapes
    }

    /// Ranks of every matrix, modules × blocks.
    private var chips: Markup {
        let head: Markup = .tag(
            "tr",
            [.tag("th", ["scope": "col"], "block")]
                + grid.blocks.map { .tag("th", ["scope": "col"], ModelGrid<Piece>.blockLabel($0)) })
        let rows: [Markup] = grid.modules.map { module in
            .tag(
                "tr",
                [.tag("th", ["scope": "row"], grid.label(module))]
                    + grid.blocks.map { block in
                        .tag("td", grid.items(block, module).map(chip))
                    })
        }
        return .tag(
            "table", ["class": "chips"], [.tag("thead", [head]), .tag("tbody", rows)])
    }

    private func chip(_ piece: Piece) -> Markup {
        .tag(
            "span",
            ["class": "chip e-\(piece.patch.format.kind.rawValue)", "title": piece.title],
            piece.patch.format.ranks)
    }
}

/// The unit, a power of 1,000, that suits a number of bytes.
struct ByteUnit {
    let bytes: Double
    let name: String

    init(for most: Int) {
        let units: [(Double, String)] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        let unit = units.first { Double(most) >= $0.0 } ?? (1, "bytes")
        (bytes, name) = unit
    }
}
