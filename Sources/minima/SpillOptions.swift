import ArgumentParser

/// What becomes of requests' keys and values when the cache has no block left.
struct SpillOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "GiB of the host's memory for keys and values of requests that had to give their blocks back: they are copied there and back instead of being computed again.",
            valueName: "GiB"))
    var spillMemory = 0.0

    var bytes: Int { Int(spillMemory * 0x1p30) }

    func validate() throws {
        guard spillMemory >= 0, spillMemory <= 0x1p20 else {
            throw ValidationError("--spill-memory must be from 0 to 1048576")
        }
    }
}
