/// Cells of a model, blocks from left to right and modules downwards, coloured in steps.
struct HeatMap {
    /// Steps of the palette, from least to most.
    static let steps = 9
    private static let cell = 30.0

    struct Cell {
        /// From 0 to 1.
        let share: Double
        let title: String
    }

    let caption: String
    let grid: ModelGrid<Cell>
    /// What the palette's two ends mean.
    let least: String
    let most: String

    var figure: Markup { Figure.wide(caption, drawing, [legend]) }

    private var drawing: Drawing {
        let names = grid.modules.map(grid.label)
        let left = 10 + (names.map { Drawing.width(of: $0) }.max() ?? 0)
        let width = Figure.blockWidth(grid.blocks.count, few: Self.cell)
        var drawing = Drawing(
            width: left + Double(grid.blocks.count) * width + 2,
            height: Double(names.count) * Self.cell + 38, label: caption)
        for (row, module) in grid.modules.enumerated() {
            let y = Double(row) * Self.cell
            drawing.shapes.append(
                Drawing.text(names[row], left - 8, y + Self.cell / 2 + 4, .end))
            for (column, block) in grid.blocks.enumerated() {
                drawing.shapes += cells(
                    grid.items(block, module), x: left + Double(column) * width, y: y, width: width)
            }
        }
        let bottom = Double(names.count) * Self.cell
        for (column, block) in grid.blocks.enumerated()
        where Figure.isNumbered(column, of: grid.blocks.count) {
            drawing.shapes.append(
                Drawing.text(
                    ModelGrid<Cell>.blockLabel(block), left + (Double(column) + 0.5) * width,
                    bottom + 15, .middle, class: "tick"))
        }
        drawing.shapes.append(
            Drawing.text(
                "block", left + Double(grid.blocks.count) * width / 2, bottom + 32, .middle,
                class: "name"))
        return drawing
    }

    /// Patches of one matrix share its cell, from top to bottom.
    private func cells(_ cells: [Cell], x: Double, y: Double, width: Double) -> [Markup] {
        let height = (Self.cell - 2) / Double(max(1, cells.count))
        return cells.enumerated().map { index, cell in
            let step = min(Self.steps - 1, max(0, Int(cell.share * Double(Self.steps))))
            return Drawing.rect(
                x + 1, y + 1 + Double(index) * height, width - 2,
                height - (index + 1 < cells.count ? 1 : 0), class: "q\(step)", title: cell.title)
        }
    }

    private var legend: Markup {
        .tag(
            "p", ["class": "legend"],
            [.text(least + " ")]
                + (0..<Self.steps).map { .tag("i", ["class": "step b\($0)"], "") }
                + [.text(" " + most)])
    }
}
