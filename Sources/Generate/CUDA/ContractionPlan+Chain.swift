import TensorNetworks
import Tensors

extension ContractionPlan {
    /// Tensors in the order in which activations meet them.
    struct Chain {
        private let tensors: [NamedTensor]
        private let modes: TensorModes
        private let sizes: [Mode: Int]

        init(_ tensors: [NamedTensor], _ modes: TensorModes) {
            (self.tensors, self.modes) = (tensors, modes)
            var sizes: [Mode: Int] = [:]
            for tensor in tensors {
                for (mode, size) in zip(tensor.modes, tensor.tensor.shape) { sizes[mode] = size }
            }
            self.sizes = sizes
        }

        /// Activations of a sequence: modes, and values from one to the next along each.
        private struct State {
            var strides: [Mode: Int]
            var width: Int
        }

        private func size(_ mode: Mode) -> Int { sizes[mode, default: 1] }

        private func size(_ modes: some Sequence<Mode>) -> Int {
            modes.reduce(1) { $0 * size($1) }
        }

        /// Row after row, as vectors have their modes.
        private func strides(_ modes: [Mode]) -> [Mode: Int] {
            var (strides, stride) = ([Mode: Int](), 1)
            for mode in modes.reversed() {
                strides[mode] = stride
                stride *= size(mode)
            }
            return strides
        }

        private var inputs: [Mode] { modes.input.indices.map { .input($0) } }
        private var outputs: [Mode] { modes.output.indices.map { .output($0) } }

        /// Multiplications for a sequence; terms in disorder, which are loaded one by one, weigh more.
        func cost(width: Int) -> Double {
            var (present, total) = (Set(inputs), 0.0)
            for (index, tensor) in tensors.enumerated() {
                let shared = Set(tensor.modes).intersection(present)
                present = present.symmetricDifference(tensor.modes)
                let work = Double(size(shared)) * Double(size(present))
                let isOrdered = index > 0 || shared.contains(.input(modes.input.count - 1))
                total += isOrdered ? work : 3 * work
            }
            return total
        }

        func steps(rows: Int, width: Int) throws -> [Step] {
            var state = State(strides: strides(inputs), width: width)
            var steps: [Step] = []
            for (index, tensor) in tensors.enumerated() {
                let isLast = index == tensors.count - 1
                let present = Set(tensor.modes).symmetricDifference(state.strides.keys)
                let next =
                    isLast
                    ? State(strides: strides(outputs), width: rows)
                    : laidOut(present, before: tensors[index + 1], made: tensor.modes)
                precondition(
                    !isLast || present == Set(outputs), "a network leaves its outputs")
                steps.append(try step(tensor, state, next))
                state = next
            }
            return steps
        }

        /// What the next tensor sums over stands one behind the other, bonds closest.
        private func laidOut(
            _ present: Set<Mode>, before next: NamedTensor, made: [Mode]
        ) -> State {
            let bonds = { (mode: Mode) in if case .bond = mode { true } else { false } }
            let known = { (mode: Mode) in (bonds(mode) && made.contains(mode) ? 1 : 0, mode.place) }
            let terms = next.modes.filter(present.contains).sorted { known($0) < known($1) }
            let others = present.subtracting(terms).sorted { known($0) < known($1) }
            var layout = strides(terms)
            let pitch = (size(terms) + 7) / 8 * 8
            for (mode, stride) in strides(others) { layout[mode] = stride * pitch }
            return State(strides: layout, width: pitch * size(others))
        }

        private func step(_ tensor: NamedTensor, _ state: State, _ next: State) throws -> Step {
            func ordered(_ modes: some Sequence<Mode>, by strides: [Mode: Int]) -> [Mode] {
                modes.sorted {
                    (strides[$0, default: 0], $0.place) > (strides[$1, default: 0], $1.place)
                }
            }
            let shared = Set(tensor.modes).intersection(state.strides.keys)
            let terms = ordered(shared, by: state.strides)
            let made = ordered(Set(tensor.modes).subtracting(shared), by: next.strides)
            let kept = ordered(Set(state.strides.keys).subtracting(shared), by: next.strides)
            let order = (made + terms).map { mode in
                guard let place = tensor.modes.firstIndex(of: mode) else {
                    preconditionFailure("modes of the tensor")
                }
                return place
            }
            let (rows, count) = (size(made), size(terms))
            var matrix = try tensor.tensor.detached().permuted(order).reshaped([rows, count])
            if count % 8 != 0 { matrix = try matrix.padded([8 - count % 8]) }
            let columns = places(kept, state.strides)
            let places = places(terms, state.strides)
            let isStraight =
                places.enumerated().allSatisfy { $0.offset == Int($0.element) }
                && columns.allSatisfy { $0 % 8 == 0 }
            return Step(
                matrix: try matrix.contiguous(), rows: rows, terms: count, inputColumns: columns,
                inputTerms: isStraight ? nil : places,
                outputRows: self.places(made, next.strides),
                outputColumns: self.places(kept, next.strides), inputWidth: state.width,
                outputWidth: next.width)
        }

        /// Places of all combinations of `modes`, the last of them fastest.
        private func places(_ modes: [Mode], _ strides: [Mode: Int]) -> [Int32] {
            modes.reduce([0]) { places, mode in
                places.flatMap { place in
                    (0..<size(mode)).map { place + Int32($0 * strides[mode, default: 0]) }
                }
            }
        }
    }
}

extension ContractionPlan.Mode {
    /// For an order that is the same in every run.
    fileprivate var place: Int {
        switch self {
        case .input(let index): 3 * index
        case .output(let index): 3 * index + 1
        case .bond(let index): 3 * index + 2
        }
    }
}
