import Tensors

/// A sum of Tucker networks of equal modes and ranks.
package struct BlockTerm: Network {
    package let terms: [Tucker]
    package let rows: Int
    package let columns: Int
    private let first: Tucker

    package init(terms: [Tucker]) throws(NetworkError) {
        guard let first = terms.first else { throw .format(.terms(0)) }
        self.terms = terms
        self.first = first
        rows = first.rows
        columns = first.columns
        for (index, term) in terms.enumerated() where [term.rows, term.columns] != [rows, columns] {
            throw .termSize(
                term: index, expected: [rows, columns], found: [term.rows, term.columns])
        }
        try validateParts()
    }

    package var modes: TensorModes { first.modes }
    package var format: Format {
        .blockTerm(first.modes, ranks: first.ranks, terms: terms.count)
    }
    package var parts: [NamedTensor] { terms.map(\.parts).numberedByTerm }

    func applied(to x: Tensor) throws -> Tensor {
        try terms.dropFirst().reduce(first.applied(to: x)) { try $0 + $1.applied(to: x) }
    }

    func reconstructed() throws -> Tensor {
        try terms.dropFirst().reduce(first.reconstructed()) { try $0 + $1.reconstructed() }
    }
}

extension Array where Element == [NamedTensor] {
    /// The terms' parts in one list, each name after its term's number as `Format.parts` has it.
    var numberedByTerm: [NamedTensor] {
        enumerated().flatMap { term, parts in
            parts.map { ("term.\(term).\($0.name)", $0.tensor) }
        }
    }
}
