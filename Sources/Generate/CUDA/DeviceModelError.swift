/// Why the GPU's own kernels cannot run a model.
package enum DeviceModelError: Error, Equatable, CustomStringConvertible {
    /// A property of the model that no kernel knows, as in "biases of gate and up".
    case unsupported(String)
    case tooManyPasses(Int, limit: Int)

    package var description: String {
        switch self {
        case .unsupported(let what): what
        case .tooManyPasses(let passes, let limit):
            "a matrix has so many rows that a multiprocessor needs \(passes) passes over them, more than \(limit)"
        }
    }
}
