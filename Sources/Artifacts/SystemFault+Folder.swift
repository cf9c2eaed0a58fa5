import Foundation
import Glibc

extension SystemFault {
    /// Makes the folder at `path` where it is missing.
    package static func createFolder(_ path: String) throws(SystemFault) {
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw .latest }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
            isFolder.boolValue
        else { throw SystemFault(code: ENOTDIR) }
    }
}
