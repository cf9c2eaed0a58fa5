import Foundation

enum StandardError {
    /// Says what the user should know and can do nothing about now.
    static func note(_ text: String?) {
        guard let text else { return }
        FileHandle.standardError.write(Data("minima: \(text)\n".utf8))
    }
}
