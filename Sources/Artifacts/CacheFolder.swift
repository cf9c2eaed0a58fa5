import FoundationEssentials

/// Where commands keep what the next ones can use: nothing there is needed, it only saves time.
package enum CacheFolder {
    /// `$MINIMA_CACHE`, else the user's cache folder.
    package static var root: String {
        let environment = ProcessInfo.processInfo.environment
        if let root = environment["MINIMA_CACHE"], !root.isEmpty { return root }
        if let root = environment["XDG_CACHE_HOME"], !root.isEmpty { return root + "/minima" }
        return (environment["HOME"] ?? "/tmp") + "/.cache/minima"
    }
}
