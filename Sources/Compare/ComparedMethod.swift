/// A way to compress a model that `minima compare` measures.
package enum ComparedMethod: String, CaseIterable, Sendable {
    case minima
}
