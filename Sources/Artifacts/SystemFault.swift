import Glibc

/// What the operating system said when it refused a call.
package struct SystemFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// `errno`, as in `ENOSPC`.
    package let code: Int32

    package init(code: Int32) { self.code = code }

    /// The fault of the call that has just failed on this thread.
    package static var latest: SystemFault { SystemFault(code: errno) }

    package var description: String {
        guard let text = strerror(code) else { return "error \(code)" }
        return String(cString: text)
    }
}
