import Tensors

/// How values are rounded to one byte.
package enum WeightRounding: String, CaseIterable, Codable, Sendable {
    /// Each to the nearest that there is.
    case nearest
    /// What a value loses is made good by others, as far as the moment of the factor's own inputs tells.
    case compensated
}

extension Factorization {
    /// The same network with values of one byte each.
    ///
    /// Compensated, for an objective with target T and input moment A: a pair U·V has V rounded by GPTQ against A, U
    /// fitted anew to the V that is stored, U = T·A·Vᵀ·(V·A·Vᵀ)⁻¹, which no output moment changes, and U rounded
    /// against V·A·Vᵀ, the moment of what it reads. Kept rows and coefficients of a pivoted pair likewise. Of a sum,
    /// its first pair makes good what the other terms lost. Trains, rings and Tucker networks are rounded to nearest:
    /// no row of a core acts on one input alone.
    package func quantized(
        as type: ElementType, for objective: FitObjective, _ rounding: WeightRounding
    ) throws -> QuantizedNetwork {
        let quantizer = PairQuantizer(type: type, rounding: rounding)
        return try withoutGradients {
            switch self {
            case .lowRank(let pair):
                return try quantizer.quantized(pair, objective)
            case .pivotedLowRank(let pair):
                return try quantizer.quantized(pair, objective)
            case .mixture(let sum):
                return try sum.quantized(as: type, for: objective, rounding)
            case .tucker, .tensorTrain, .tensorRing, .blockTerm, .pivoted:
                return try rounded(as: type)
            }
        }
    }

    /// The same with every value rounded to the nearest.
    private func rounded(as type: ElementType) throws -> QuantizedNetwork {
        let tensors = Dictionary(parts.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 })
        func tensor(_ name: String) -> Tensor {
            guard let tensor = tensors[name] else {
                preconditionFailure("Format.parts lists \(name), and the network has it")
            }
            return tensor
        }
        return try QuantizedNetwork(format, rows, columns, type) { part in
            try QuantizedMatrix(
                quantizing: tensor(part.name).reshaped([part.rows, part.columns]), as: type)
        } rowNumbers: {
            tensor($0)
        }
    }
}

extension QuantizedNetwork {
    /// A dense matrix, rounded against the moment of its inputs.
    package init(
        quantizing matrix: Tensor, as type: ElementType, for objective: FitObjective,
        _ rounding: WeightRounding
    ) throws {
        let quantizer = PairQuantizer(type: type, rounding: rounding)
        try self.init(
            withoutGradients { try quantizer.matrix(matrix, objective.input.matrix) })
    }

    /// A sum of networks.
    fileprivate init(sum terms: [QuantizedNetwork], _ type: ElementType) throws {
        var matrices: [String: QuantizedMatrix] = [:]
        var numbers: [String: Tensor] = [:]
        for (index, term) in terms.enumerated() {
            for part in try term.format.parts(rows: term.rows, columns: term.columns) {
                let name = "term.\(index).\(part.name)"
                if part.isIndex {
                    numbers[name] = term.rowNumbers(part.name)
                } else {
                    matrices[name] = term.matrix(part.name)
                }
            }
        }
        try self.init(.mixture(terms.map(\.format)), terms[0].rows, terms[0].columns, type) {
            part in
            guard let matrix = matrices[part.name] else {
                preconditionFailure("a term of the sum has \(part.name)")
            }
            return matrix
        } rowNumbers: { name in
            guard let tensor = numbers[name] else {
                preconditionFailure("a term of the sum has \(name)")
            }
            return tensor
        }
    }
}

extension Mixture {
    fileprivate func quantized(
        as type: ElementType, for objective: FitObjective, _ rounding: WeightRounding
    ) throws -> QuantizedNetwork {
        let isPair = terms.map { [.lowRank, .pivotedLowRank].contains($0.format.kind) }
        let last = isPair.firstIndex(of: true)
        var quantized: [Int: QuantizedNetwork] = [:]
        var rest = objective.target
        // A term aims at what it stands for, and the last of them at what the others leave.
        for index in terms.indices where index != last {
            let own = try terms[index].reconstructed().converted(to: .float64)
            let network = try terms[index].quantized(
                as: type, for: objective.aiming(at: own), rounding)
            rest = try rest - network.reconstructed(as: .float64)
            quantized[index] = network
        }
        if let last {
            quantized[last] = try terms[last].quantized(
                as: type, for: objective.aiming(at: rest), rounding)
        }
        return try QuantizedNetwork(
            sum: terms.indices.compactMap { quantized[$0] }, type)
    }
}

extension SharedInputFit {
    /// The same with values of one byte each and one input factor for all.
    package func quantized(
        as type: ElementType, _ rounding: WeightRounding
    ) throws -> [QuantizedNetwork] {
        let input = try pairs[0].quantizedInput(as: type, for: objectives[0], rounding)
        return try zip(pairs, objectives).map {
            try $0.quantized(sharing: input, for: $1, rounding)
        }
    }
}

extension LowRank {
    /// The input factor for pairs that share it, rounded as it is.
    package func quantizedInput(
        as type: ElementType, for objective: FitObjective, _ rounding: WeightRounding
    ) throws -> QuantizedMatrix {
        try withoutGradients {
            try PairQuantizer(type: type, rounding: rounding).matrix(
                input, objective.input.matrix)
        }
    }

    /// The pair with an input factor that stands already.
    package func quantized(
        sharing input: QuantizedMatrix, for objective: FitObjective, _ rounding: WeightRounding
    ) throws -> QuantizedNetwork {
        let quantizer = PairQuantizer(type: input.elementType, rounding: rounding)
        return try withoutGradients {
            try quantizer.network(format, "output", "input") {
                let stored = try quantizer.output(
                    output, of: input, objective.target, objective.input.matrix)
                return (stored, input)
            }
        }
    }
}

/// Rounds matrices and pairs of them.
struct PairQuantizer {
    let type: ElementType
    let rounding: WeightRounding

    /// - Parameter moment: of the matrix' inputs.
    func matrix(_ matrix: Tensor, _ moment: Tensor) throws -> QuantizedMatrix {
        switch rounding {
        case .nearest: try QuantizedMatrix(quantizing: matrix, as: type)
        case .compensated: try QuantizedMatrix(quantizing: matrix, as: type, moment: moment)
        }
    }

    /// U of a pair whose V is stored as `input`.
    /// - Parameter target: what U·V is to be, `[rows of U, columns]`.
    func output(
        _ fitted: Tensor, of input: QuantizedMatrix, _ target: Tensor, _ moment: Tensor
    ) throws -> QuantizedMatrix {
        let v = try input.dequantized(as: .float64)
        let weighted = try v.matmul(moment)
        let inner = try weighted.matmul(v.transposed())
        guard rounding == .compensated, fitted.shape[0] > 0, let lower = try inner.cholesky() else {
            return try matrix(fitted, inner)
        }
        let right = try weighted.matmul(target.transposed())
        let solved = try lower.transposed().solveTriangular(
            lower.solveTriangular(right, upper: false), upper: true)
        return try matrix(solved.transposed(), inner)
    }

    /// Columns of U become of equal length first: a row of U has one scale, and the rows of V have their own.
    func quantized(_ pair: LowRank, _ objective: FitObjective) throws -> QuantizedNetwork {
        let lengths = try pair.output.converted(to: .float64).norm(0).unsqueezed(0)
        let safe = try lengths.filled(where: lengths.equals(0), with: 1)
        let u = try pair.output.converted(to: .float64) / safe
        let v = try pair.input.converted(to: .float64) * safe.transposed()
        let moment = objective.input.matrix
        return try network(pair.format, "output", "input") {
            let input = try matrix(v, moment)
            return (try output(u, of: input, objective.target, moment), input)
        }
    }

    func quantized(_ pair: PivotedLowRank, _ objective: FitObjective) throws -> QuantizedNetwork {
        let moment = objective.input.matrix
        let kept = Set(try pair.pivots.elements(as: Int32.self))
        let others = (0..<Int32(pair.rows)).filter { !kept.contains($0) }
        let target = try objective.target.selecting(
            Tensor(others, on: objective.target.device), along: 0)
        return try network(
            pair.format, "coefficients", "basis", rowNumbers: ["pivots": pair.pivots]
        ) {
            let basis = try matrix(pair.basis, moment)
            return (try output(pair.coefficients, of: basis, target, moment), basis)
        }
    }

    func network(
        _ format: Format, _ output: String, _ input: String, rowNumbers: [String: Tensor] = [:],
        _ pair: () throws -> (output: QuantizedMatrix, input: QuantizedMatrix)
    ) throws -> QuantizedNetwork {
        let pair = try pair()
        let rows = pair.output.rows + (rowNumbers.isEmpty ? 0 : pair.input.rows)
        return try QuantizedNetwork(format, rows, pair.input.columns, type) {
            $0.name == output ? pair.output : pair.input
        } rowNumbers: { name in
            guard let numbers = rowNumbers[name] else {
                preconditionFailure("only pivoted pairs have row numbers")
            }
            return numbers
        }
    }
}
