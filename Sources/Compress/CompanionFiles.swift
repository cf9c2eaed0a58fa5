import Artifacts
import Foundation

/// The files that go along with a checkpoint's tensors unchanged: configuration, tokenizer, templates.
enum CompanionFiles {
    private static let extensions: Set<String> = ["json", "model", "txt", "jinja"]

    static func copy(from source: String, to folder: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: source).sorted()
        where include(name) {
            let contents = try Data(contentsOf: URL(fileURLWithPath: "\(source)/\(name)"))
            try AtomicFile.write(contents, to: "\(folder)/\(name)")
        }
    }

    private static func include(_ name: String) -> Bool {
        let isOwn = name == CompressionManifest.file || name.hasSuffix(".index.json")
        return !isOwn && !name.hasPrefix(".") && extensions.contains((name as NSString).pathExtension)
    }
}
