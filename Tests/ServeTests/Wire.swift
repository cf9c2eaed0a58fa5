import Foundation
import Glibc

/// A connection whose bytes a test decides on.
final class Wire {
    private let socket: Int32

    struct Broken: Error {}

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Broken() }
    }

    deinit { close() }

    private var isOpen = true

    func close() {
        if isOpen { Glibc.close(socket) }
        isOpen = false
    }

    /// - Returns: whether the other side took all of it.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// What comes next; empty at the end, or when the time is over.
    func read(seconds: Int) -> [UInt8] {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(
            socket, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(socket, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : []
    }

    func readAll(seconds: Int) -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let piece = read(seconds: seconds)
            if piece.isEmpty { return all }
            all += piece
        }
    }

    /// Reads until `text` has come.
    func read(until text: String, seconds: Int = 10) throws -> String {
        var all: [UInt8] = []
        while true {
            let piece = read(seconds: seconds)
            guard !piece.isEmpty else { throw Broken() }
            all += piece
            let known = String(decoding: all, as: UTF8.self)
            if known.contains(text) { return known }
        }
    }
}

/// An answer as it came over the wire.
struct Reply: Sendable {
    let status: Int
    let headers: [String: String]
    let body: String

    struct Malformed: Error { let text: String }

    init(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { throw Malformed(text: text) }
        let lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
        guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw Malformed(text: text) }
        self.status = status
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...]
                .trimmingCharacters(in: .whitespaces)
        }
        self.headers = headers
        let rest = Array(text[end.upperBound...].utf8)
        body = String(
            decoding: headers["transfer-encoding"] == "chunked" ? try Self.joined(rest) : rest,
            as: UTF8.self)
    }

    private static func joined(_ chunks: [UInt8]) throws -> [UInt8] {
        var (rest, whole) = (chunks[...], [UInt8]())
        while let end = rest.firstIndex(of: 0x0A) {
            let line = String(decoding: rest[..<end], as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            guard let size = Int(line, radix: 16) else { throw Malformed(text: line) }
            if size == 0 { return whole }
            whole += rest[(end + 1)..<min(rest.endIndex, end + 1 + size)]
            rest = rest.dropFirst(end + 1 - rest.startIndex + size + 2)
        }
        throw Malformed(text: "a body that does not end")
    }

    /// The body as one JSON object.
    func json() throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(body.utf8))
        guard let object = value as? [String: Any] else { throw Malformed(text: body) }
        return object
    }

    /// The error's fields.
    func error() throws -> [String: Any] {
        guard let error = try json()["error"] as? [String: Any] else { throw Malformed(text: body) }
        return error
    }

    /// What stands behind `data:` of a stream's events.
    var events: [String] {
        body.components(separatedBy: "\n\n").compactMap { event in
            event.components(separatedBy: "\n").first { $0.hasPrefix("data: ") }
                .map { String($0.dropFirst(6)) }
        }
    }

    /// The same, parsed, without the end mark.
    func pieces() throws -> [[String: Any]] {
        try events.filter { $0 != "[DONE]" }.map { event in
            let value = try JSONSerialization.jsonObject(with: Data(event.utf8))
            guard let object = value as? [String: Any] else { throw Malformed(text: event) }
            return object
        }
    }
}
