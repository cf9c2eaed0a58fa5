import Artifacts
import Foundation

/// How fast the whitened matrices' energies fall, and their entanglement entropies over depth.
struct SpectrumFigure {
    let map: SensitivityMap

    private var grid: ModelGrid<MatrixSensitivity> {
        ModelGrid(map.matrices.map { ($0.name, $0) })
    }

    var section: Section {
        Section(
            anchor: "spectra", title: "Spectra and entanglement entropy",
            note:
                "Each line is one matrix, weighted by what it reads: where it falls early, few ranks carry nearly everything. A low entropy says the same in one number; e to its power is about the number of ranks in use.",
            figures: spectra + (entropies.map { [Figure.grid([$0])] } ?? []), tables: [table])
    }

    private var spectra: [Markup] {
        let grid = grid
        let plot = Plot(width: 216, height: 168, left: 38, right: 14)
        guard
            let y = Scale.logarithmic(
                map.matrices.flatMap(\.spectrum), decades: 9, to: plot.yRange)
        else { return [] }
        let x = Scale(.linear, 0...100, to: plot.xRange)
        let panels = grid.modules.map { module in
            var drawing = Drawing(
                width: plot.width, height: plot.height, label: "Spectra of \(module) in every block"
            )
            drawing.shapes =
                plot.frame(
                    x: x, y: y, xName: "% of the ranks", yName: "energy", xTicks: 3, yTicks: 4)
                + lines(of: module, in: grid, x: x, y: y)
            return (caption: grid.label(module), drawing: drawing)
        }
        let least = y.domain.lowerBound
        let isCut = map.matrices.contains { $0.spectrum.contains { $0 < least } }
        let ends = [grid.blocks.first, grid.blocks.last].map {
            $0.map(ModelGrid<Int>.blockLabel) ?? ""
        }
        return [
            Figure.grid(panels, isSmall: true),
            .tag(
                "p", ["class": "legend"],
                [
                    .text("block \(ends[0]) "), .tag("i", ["class": "ramp"], ""),
                    .text(" block \(ends[1])"),
                    .text(
                        isCut
                            ? "; energies below \(NumberText.power(least)) lie on the lower edge"
                            : ""),
                ]),
        ]
    }

    /// One line per block, coloured by its depth.
    private func lines(
        of module: String, in grid: ModelGrid<MatrixSensitivity>, x: Scale, y: Scale
    ) -> [Markup] {
        let deepest = Double(max(1, grid.blocks.count - 1))
        return grid.blocks.enumerated().flatMap { index, block in
            grid.items(block, module).filter { $0.spectrum.count > 1 }.map { matrix in
                let count = Double(matrix.spectrum.count)
                return Drawing.line(
                    matrix.spectrum.enumerated().map { place, energy in
                        (x.position(Double(place) * 100 / count), y.position(energy))
                    }, class: "depth", depth: Double(index) / deepest,
                    title: "\(matrix.name): entropy \(NumberText.short(matrix.entropy)) nats")
            }
        }
    }

    /// Over the blocks; what stands outside them is in the table alone.
    private var entropies: (caption: String, drawing: Drawing)? {
        let grid = grid
        let blocks = grid.blocks.compactMap { $0 }
        guard let first = blocks.first, let last = blocks.last else { return nil }
        let plot = Plot(width: 420, height: 270, left: 34, right: 52)
        let values = map.matrices.map(\.entropy)
        let y = Scale(.linear, 0...min(max(values.max() ?? 1, 1e-6), 1e300) * 1.05, to: plot.yRange)
        let x = Scale(.linear, Double(first)...Double(max(first + 1, last)), to: plot.xRange)
        var drawing = Drawing(
            width: plot.width, height: plot.height,
            label: "Entanglement entropy of each module over the blocks")
        drawing.shapes = plot.frame(
            x: x, y: y, xName: "block", yName: "nats", xTicks: max(1, min(5, last - first)))
        var ends: [(module: String, x: Double, y: Double)] = []
        for module in grid.modules {
            let points = blocks.flatMap { block in
                grid.items(block, module).map { matrix in
                    (x: x.position(Double(block)), y: y.position(matrix.entropy), matrix: matrix)
                }
            }
            guard let last = points.last else { continue }
            let family = MatrixPlace.isAttention(module) ? "attention" : "feed-forward"
            drawing.shapes.append(
                Drawing.line(points.map { ($0.x, $0.y) }, class: "series \(family)"))
            drawing.shapes += points.map {
                Drawing.circle(
                    $0.x, $0.y, radius: 3, class: "dot \(family)",
                    title: "\($0.matrix.name): \(NumberText.short($0.matrix.entropy)) nats")
            }
            ends.append((module, last.x, last.y))
        }
        let places = LabelLayout.places(
            ends.map(\.y), spacing: 14, within: plot.top...plot.height - plot.bottom)
        for (end, place) in zip(ends, places) {
            drawing.shapes.append(
                Drawing.line(
                    [(end.x + 4, end.y), (plot.xRange.1 + 12, place)], class: "leader"))
            drawing.shapes.append(
                Drawing.text(grid.label(end.module), plot.xRange.1 + 15, place + 4))
        }
        return ("Entanglement entropy over depth", drawing)
    }

    private var table: DataTable {
        let shares = stride(from: 0, through: 90, by: 10)
        return DataTable(
            title: "Entropy and energies along the spectrum",
            header: ["matrix", "entropy, nats", "e^entropy"] + shares.map { "\($0)%" },
            rows: map.matrices.map { matrix in
                [
                    matrix.name, NumberText.short(matrix.entropy),
                    NumberText.short(exp(matrix.entropy)),
                ]
                    + shares.map { share in
                        matrix.spectrum.isEmpty
                            ? "–"
                            : NumberText.short(matrix.spectrum[share * matrix.spectrum.count / 100])
                    }
            }, words: 1)
    }
}
