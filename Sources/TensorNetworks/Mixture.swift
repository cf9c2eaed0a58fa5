import Tensors

/// A sum of networks of any formats but mixtures (MixT, arXiv 2605.25344).
package struct Mixture: Network {
    package let terms: [Factorization]
    package let rows: Int
    package let columns: Int
    private let first: Factorization

    package init(terms: [Factorization]) throws(NetworkError) {
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

    package var format: Format { .mixture(terms.map(\.format)) }
    package var parts: [NamedTensor] { terms.map(\.parts).numberedByTerm }

    func applied(to x: Tensor) throws -> Tensor {
        try terms.dropFirst().reduce(first.network.applied(to: x)) {
            try $0 + $1.network.applied(to: x)
        }
    }

    func reconstructed() throws -> Tensor {
        try terms.dropFirst().reduce(first.reconstructed()) { try $0 + $1.reconstructed() }
    }
}
