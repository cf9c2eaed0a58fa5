/// Where in the model a matrix stands, as its name says.
struct MatrixPlace: Hashable, Sendable {
    /// Its block, or `nil` for a matrix outside the blocks.
    let block: Int?
    /// The rest of its name, as in `self_attn.q_proj`.
    let module: String

    /// - Parameter name: as in `model.layers.0.self_attn.q_proj`.
    init(_ name: String) {
        let parts = name.split(separator: ".")
        let place = parts.firstIndex {
            !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) }
        }
        if let place, let block = Int(parts[place]), place + 1 < parts.count {
            self.block = block
            module = parts[(place + 1)...].joined(separator: ".")
        } else {
            block = nil
            module = name
        }
    }

    /// The module in short: `q` for `self_attn.q_proj`.
    static func label(of module: String) -> String {
        let last = module.split(separator: ".").last.map(String.init) ?? module
        return last.hasSuffix("_proj") ? String(last.dropLast(5)) : last
    }

    /// Whether the module belongs to attention rather than to the feed-forward network.
    static func isAttention(_ module: String) -> Bool { module.contains("attn") }

    /// Modules in the order in which a block applies them; others follow by name.
    static func order(_ modules: some Sequence<String>) -> [String] {
        let known = ["q", "k", "v", "o", "gate", "up", "down"]
        return Set(modules).sorted { a, b in
            let places = [a, b].map { known.firstIndex(of: label(of: $0)) ?? known.count }
            return (places[0], a) < (places[1], b)
        }
    }
}

/// Things by block and module: the cells of a heat map or of a table of a model.
struct ModelGrid<Item> {
    /// In order of depth; what stands outside the blocks comes last.
    let blocks: [Int?]
    let modules: [String]
    private let items: [MatrixPlace: [Item]]

    /// - Parameter items: with the names of their matrices. Several of one name are patches of it.
    init(_ items: [(name: String, item: Item)]) {
        var grid: [MatrixPlace: [Item]] = [:]
        for (name, item) in items { grid[MatrixPlace(name), default: []].append(item) }
        blocks = Set(grid.keys.map(\.block)).sorted { ($0 ?? .max) < ($1 ?? .max) }
        modules = MatrixPlace.order(grid.keys.map(\.module))
        self.items = grid
    }

    func items(_ block: Int?, _ module: String) -> [Item] {
        items[MatrixPlace(block: block, module: module)] ?? []
    }

    /// In short, unless another module has the same short name.
    func label(_ module: String) -> String {
        let short = MatrixPlace.label(of: module)
        let same = modules.filter { MatrixPlace.label(of: $0) == short }
        return same.count == 1 ? short : module
    }

    static func blockLabel(_ block: Int?) -> String { block.map(String.init) ?? "–" }
}

extension MatrixPlace {
    init(block: Int?, module: String) {
        self.block = block
        self.module = module
    }
}
