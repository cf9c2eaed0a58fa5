import Artifacts

extension CompressionPlan {
    /// Throws where matrices share an input factor that these fits cannot give them: on what the
    /// compressed model hands on, only matrices that read the same of it.
    func checkSharing(
        _ configuration: ModelConfiguration, _ fit: FitSettings
    ) throws(CompressError) {
        guard fit.anchor != nil else { return }
        for unit in units(configuration) where unit.members.count > 1 {
            let names = unit.members.map(\.module.name)
            if fit.refinement != nil { throw .refinedSharing(names[0], names[names.count - 1]) }
            guard unit.inputs.count > 1 else { continue }
            throw .sharing(names[0], names[names.count - 1])
        }
    }

    /// Throws unless the plan was made for this checkpoint and says something of each of its linear
    /// layers, and of nothing else.
    func check(against configuration: ModelConfiguration, source: Fingerprint) throws {
        guard self.source == source else {
            throw CompressError.planOfOther(plan: self.source, model: source)
        }
        try validate()
        let modules = Dictionary(
            configuration.linearModules.map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first })
        for matrix in matrices {
            guard let module = modules[matrix.name] else {
                throw CompressError.planMatrix(
                    matrix.name, problem: "is not a linear layer of the model's blocks")
            }
            guard module.rows == matrix.rows, module.columns == matrix.columns else {
                throw CompressError.planMatrix(
                    matrix.name,
                    problem:
                        "is \(matrix.rows) × \(matrix.columns), the model's \(module.rows) × \(module.columns)"
                )
            }
        }
        let planned = Set(matrices.map(\.name))
        if let module = configuration.linearModules.first(where: { !planned.contains($0.name) }) {
            throw CompressError.planMatrix(
                module.name, problem: "is missing; a matrix that stays as it is has format dense")
        }
    }
}
