/// Names a request for as long as it is there.
package struct RequestID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let number: Int

    package init(_ number: Int) { self.number = number }

    package var description: String { "request \(number)" }

    package static func < (a: RequestID, b: RequestID) -> Bool { a.number < b.number }
}
