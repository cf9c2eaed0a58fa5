extension [String: JSONValue] {
    /// The first key whose values differ, with those inside of it that do where both are objects, as in "evaluation: window".
    package func difference(from other: Self) -> String? {
        let keys = Set(self.keys).union(other.keys)
        guard let key = keys.filter({ self[$0] != other[$0] }).min() else { return nil }
        guard case .object(let a)? = self[key], case .object(let b)? = other[key] else {
            return key
        }
        let inner = Set(a.keys).union(b.keys).filter { a[$0] != b[$0] }.sorted()
        return "\(key): \(inner.joined(separator: ", "))"
    }
}
