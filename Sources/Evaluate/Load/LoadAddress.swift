import Foundation

/// Where a server is, as a client is told.
package struct LoadAddress: Sendable, Equatable {
    let host: String
    let port: Int
    let isEncrypted: Bool
    /// In front of `/v1/…`, without a slash at its end.
    let path: String

    /// - Parameter url: http or https; a path of `/v1` at its end may be there or not.
    package init?(_ url: String) {
        guard let parts = URLComponents(string: url), let host = parts.host, !host.isEmpty,
            let scheme = parts.scheme?.lowercased(), ["http", "https"].contains(scheme),
            parts.query == nil, parts.user == nil
        else { return nil }
        isEncrypted = scheme == "https"
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        port = parts.port ?? (isEncrypted ? 443 : 80)
        var path = parts.path
        while path.hasSuffix("/") { path.removeLast() }
        if path.hasSuffix("/v1") { path.removeLast(3) }
        self.path = path
    }

    /// For the header `Host`.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isEncrypted ? 443 : 80) ? name : "\(name):\(port)"
    }
}
