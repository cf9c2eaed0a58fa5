import Tensors

/// Cores `[left, output, input, right]` in a circle, each bonded to the next and the last to the
/// first; what a train (whose closing bond has rank 1) and a ring contract alike.
struct CoreChain {
    let cores: [Tensor]

    /// Cores in the order in which `applied` meets them.
    private let route: Route

    private struct Route {
        let order: [Int]
        let isReversed: Bool
    }

    /// - Precondition: the cores' shapes have been checked.
    init(cores: [Tensor]) {
        self.cores = cores
        route = Self.cheapestRoute(cores.map(\.shape))
    }

    // MARK: Contraction with an input

    /// - Parameter x: `[tokens, product of the inputs]`.
    /// - Returns: `[tokens, product of the outputs]`.
    func applied(to x: Tensor) throws(TensorError) -> Tensor {
        guard cores.count > 1 else { return try x.linear(reconstructed()) }
        let tokens = x.shape[0]
        let path = try route.order.map { index throws(TensorError) in
            route.isReversed ? try cores[index].transposed(0, 3) : cores[index]
        }
        let inputs = cores.map { $0.shape[2] }
        let ordered = try x.reshaped([tokens] + inputs).permuted([0] + route.order.map { $0 + 1 })
        var state = try opened(ordered, by: path[0])
        for core in path[1..<(path.count - 1)] { state = try stepped(state, by: core) }
        let y = try closed(state, by: path[path.count - 1])
        return try restored(y)
    }

    /// The state between two cores: elements `[tokens, closing, outputs, bond, inputs left]`.
    private struct State {
        var elements: Tensor
        let tokens: Int
        let closing: Int
        var outputs: Int
        var bond: Int
        var inputs: Int
    }

    private func opened(_ x: Tensor, by core: Tensor) throws(TensorError) -> State {
        let (tokens, core4) = (x.shape[0], core.shape)
        let rest = x.shape.dropFirst(2).reduce(1, *)
        let matrix = try core.permuted([2, 0, 1, 3]).reshaped([core4[2], -1])
        let product = try x.reshaped([tokens, core4[2], rest]).transposed(1, 2).matmul(matrix)
        let elements = try product.reshaped([tokens, rest, core4[0], core4[1], core4[3]])
            .permuted([0, 2, 3, 4, 1])
        return State(
            elements: elements, tokens: tokens, closing: core4[0], outputs: core4[1],
            bond: core4[3], inputs: rest)
    }

    private func stepped(_ state: State, by core: Tensor) throws(TensorError) -> State {
        var next = state
        let (bond, output, input, right) = (
            core.shape[0], core.shape[1], core.shape[2], core.shape[3]
        )
        next.inputs = state.inputs / input
        next.outputs = state.outputs * output
        next.bond = right
        let matrix = try core.permuted([0, 2, 1, 3]).reshaped([bond * input, output * right])
        let leading = [state.tokens, state.closing, state.outputs]
        next.elements = try state.elements.reshaped(leading + [bond, input, next.inputs])
            .permuted([0, 1, 2, 5, 3, 4])
            .reshaped(leading + [next.inputs, bond * input])
            .matmul(matrix)
            .reshaped(leading + [next.inputs, output, right])
            .permuted([0, 1, 2, 4, 5, 3])
        return next
    }

    private func closed(_ state: State, by core: Tensor) throws(TensorError) -> Tensor {
        let (bond, output, input) = (core.shape[0], core.shape[1], core.shape[2])
        let inner = state.closing * bond * input
        let matrix = try core.permuted([3, 0, 2, 1]).reshaped([inner, output])
        return try state.elements
            .reshaped([state.tokens, state.closing, state.outputs, bond * input])
            .transposed(1, 2).reshaped([state.tokens, state.outputs, inner])
            .matmul(matrix)
    }

    /// Puts the outputs, which came in the route's order, back into the cores' order.
    private func restored(_ y: Tensor) throws(TensorError) -> Tensor {
        let outputs = cores.map { $0.shape[1] }
        let places = outputs.indices.map { index in
            1 + (route.order.firstIndex(of: index) ?? index)
        }
        return try y.reshaped([y.shape[0]] + route.order.map { outputs[$0] })
            .permuted([0] + places)
            .reshaped([y.shape[0], outputs.reduce(1, *)])
    }

    // MARK: Order

    /// The start and direction that take the fewest multiplications per token.
    private static func cheapestRoute(_ shapes: [[Int]]) -> Route {
        var best: (route: Route, cost: Double)?
        for start in shapes.indices {
            for isReversed in [false, true] {
                let order = shapes.indices.map { step in
                    (start + (isReversed ? shapes.count - step : step)) % shapes.count
                }
                let cost = cost(order.map { isReversed ? shapes[$0].swapping(0, 3) : shapes[$0] })
                if best.map({ cost < $0.cost }) ?? true {
                    best = (Route(order: order, isReversed: isReversed), cost)
                }
            }
        }
        return best?.route ?? Route(order: Array(shapes.indices), isReversed: false)
    }

    private static func cost(_ path: [[Int]]) -> Double {
        let path = path.map { $0.map(Double.init) }
        let closing = path[0][0]
        var inputs = path.reduce(1) { $0 * $1[2] }
        var (outputs, total) = (1.0, 0.0)
        for (step, core) in path.enumerated() {
            inputs /= core[2]
            // The first core's left bond and the last core's right bond are the closing one.
            let isEnd = step == 0 || step == path.count - 1
            let bonds = core[0] * core[3] * (isEnd ? 1 : closing)
            total += outputs * inputs * core[1] * core[2] * bonds
            outputs *= core[1]
        }
        return total
    }

    // MARK: The whole matrix

    /// `[product of the outputs, product of the inputs]`.
    func reconstructed() throws(TensorError) -> Tensor {
        let closing = cores[0].shape[0]
        guard cores.count > 1 else {
            let ends = try cores[0].permuted([1, 2, 0, 3])
            let shape = cores[0].shape
            return try ends.diagonal().sum(-1).reshaped([shape[1], shape[2]])
        }
        // state: [closing, outputs, inputs, bond]
        var state = cores[0]
        for core in cores[1..<(cores.count - 1)] {
            let (left, right) = (state.shape, core.shape)
            state = try state.reshaped([-1, left[3]])
                .matmul(core.reshaped([right[0], -1]))
                .reshaped([closing, left[1], left[2], right[1], right[2], right[3]])
                .permuted([0, 1, 3, 2, 4, 5])
                .reshaped([closing, left[1] * right[1], left[2] * right[2], right[3]])
        }
        let (last, left) = (cores[cores.count - 1], state.shape)
        let right = last.shape
        let inner = closing * left[3]
        return try state.permuted([1, 2, 0, 3]).reshaped([left[1] * left[2], inner])
            .matmul(last.permuted([3, 0, 1, 2]).reshaped([inner, right[1] * right[2]]))
            .reshaped([left[1], left[2], right[1], right[2]])
            .permuted([0, 2, 1, 3])
            .reshaped([left[1] * right[1], left[2] * right[2]])
    }
}

extension Array {
    fileprivate func swapping(_ first: Int, _ second: Int) -> Self {
        var copy = self
        copy.swapAt(first, second)
        return copy
    }
}
