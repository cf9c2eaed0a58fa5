import Tensors

extension Factorization {
    /// Assembles a factorization from its stored tensors.
    /// - Parameters:
    ///   - format: may come from a file; it is checked against `rows`, `columns` and the tensors.
    ///   - parts: the tensor of a name in `format.parts(rows:columns:)`.
    package init(
        format: Format, rows: Int, columns: Int, parts: (String) throws -> Tensor
    ) throws {
        let expected: [Format.Part]
        do {
            expected = try format.parts(rows: rows, columns: columns)
        } catch {
            throw NetworkError.format(error)
        }
        var found: [String: Tensor] = [:]
        for part in expected {
            let tensor = try parts(part.name)
            guard tensor.shape == part.shape else {
                throw NetworkError.shape(
                    part: part.name, expected: part.shape, found: tensor.shape)
            }
            found[part.name] = tensor
        }
        self = try Self(checked: format, rows, columns) { name in
            guard let tensor = found[name] else {
                preconditionFailure("Format.parts does not list \(name)")
            }
            return tensor
        }
    }

    private init(
        checked format: Format, _ rows: Int, _ columns: Int, _ part: (String) -> Tensor
    ) throws {
        func cores(_ modes: TensorModes) -> [Tensor] {
            modes.output.indices.map { part("core.\($0)") }
        }
        func tucker(_ modes: TensorModes, _ prefix: String = "") throws -> Tucker {
            try Tucker(
                modes: modes, rows: rows, columns: columns, core: part("\(prefix)core"),
                factors: (0..<modes.output.count + modes.input.count).map {
                    part("\(prefix)factor.\($0)")
                })
        }
        switch format {
        case .dense:
            throw NetworkError.denseFormat
        case .lowRank:
            self = .lowRank(try LowRank(output: part("output"), input: part("input")))
        case .pivotedLowRank:
            self = .pivotedLowRank(
                try PivotedLowRank(
                    basis: part("basis"), coefficients: part("coefficients"),
                    pivots: part("pivots")))
        case .tucker(let modes, _):
            self = .tucker(try tucker(modes))
        case .tensorTrain(let modes, _):
            self = .tensorTrain(
                try TensorTrain(modes: modes, rows: rows, columns: columns, cores: cores(modes)))
        case .tensorRing(let modes, _):
            self = .tensorRing(
                try TensorRing(modes: modes, rows: rows, columns: columns, cores: cores(modes)))
        case .blockTerm(let modes, _, let terms):
            self = .blockTerm(
                try BlockTerm(terms: (0..<terms).map { try tucker(modes, "term.\($0).") }))
        case .pivoted(let inner):
            self = .pivoted(try Pivoted(inner, rows: rows, columns: columns) { part($0) })
        case .mixture(let formats):
            let terms = try formats.enumerated().map { term, format in
                try Factorization(checked: format, rows, columns) { part("term.\(term).\($0)") }
            }
            self = .mixture(try Mixture(terms: terms))
        }
    }

    /// The same network with every value tensor transformed, as for another type or device.
    ///
    /// Row numbers keep their type and follow the values to their device.
    package func mapTensors(_ transform: (Tensor) throws -> Tensor) throws -> Factorization {
        var mapped: [String: Tensor] = [:]
        var device: Device?
        let parts = parts
        for (name, tensor) in parts where tensor.elementType.isFloatingPoint {
            let result = try transform(tensor)
            device = result.device
            mapped[name] = result
        }
        for (name, tensor) in parts where !tensor.elementType.isFloatingPoint {
            mapped[name] = try tensor.moved(to: device ?? tensor.device)
        }
        return try Factorization(format: format, rows: rows, columns: columns) { name in
            guard let tensor = mapped[name] else {
                preconditionFailure("\(name) is a part and was not mapped")
            }
            return tensor
        }
    }
}
