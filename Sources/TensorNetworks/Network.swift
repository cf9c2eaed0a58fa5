import Tensors

/// One stored tensor of a network, by its name in `Format.parts`.
package typealias NamedTensor = (name: String, tensor: Tensor)

/// What every representation of a matrix W `[rows, columns]` does. The family is closed: its members
/// are the cases of `Factorization`, which is what other modules hold.
protocol Network {
    var format: Format { get }
    var rows: Int { get }
    var columns: Int { get }

    /// The stored tensors, in the order of `format.parts(rows:columns:)`.
    var parts: [NamedTensor] { get }

    /// y = x·Wᵀ, contracted without forming W.
    /// - Parameter x: `[tokens, columns]`.
    /// - Returns: `[tokens, rows]`.
    func applied(to x: Tensor) throws -> Tensor

    /// W `[rows, columns]`, recorded for gradients where the parts are.
    func reconstructed() throws -> Tensor
}

extension Network {
    /// Checks the parts against the format that their shapes name.
    func validateParts() throws(NetworkError) {
        let parts = parts
        try Self.validate(parts, as: format, rows: rows, columns: columns)
        guard let type = parts.first?.tensor.elementType else { return }
        for part in parts where part.tensor.elementType != .int32 {
            guard part.tensor.elementType == type else {
                throw .elementType(
                    part: part.name, expected: type.rawValue, found: part.tensor.elementType)
            }
        }
    }

    /// Checks names, shapes and kinds of element of `parts` against what `format` stores.
    static func validate(
        _ parts: [NamedTensor], as format: Format, rows: Int, columns: Int
    ) throws(NetworkError) {
        let expected: [Format.Part]
        do {
            expected = try format.parts(rows: rows, columns: columns)
        } catch {
            throw .format(error)
        }
        guard expected.count == parts.count else {
            throw .partCount(expected: expected.count, found: parts.count)
        }
        for (part, (name, tensor)) in zip(expected, parts) {
            let shape = tensor.shape
            guard part.name == name, part.shape == shape else {
                throw .shape(part: part.name, expected: part.shape, found: shape)
            }
            let type = tensor.elementType
            guard part.isIndex ? type == .int32 : type.isFloatingPoint else {
                throw .elementType(
                    part: name, expected: part.isIndex ? "I32" : "floating point", found: type)
            }
        }
    }
}
