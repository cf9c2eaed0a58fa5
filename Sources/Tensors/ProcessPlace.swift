/// Where this process stands among those that compute together, as the launcher says it in the environment.
package struct ProcessPlace: Hashable, Sendable {
    /// From 0.
    package let rank: Int
    package let size: Int
    /// Among the processes of this host.
    package let localRank: Int
    /// Of the store where they meet: a host's name or address.
    package let address: String
    package let port: Int
    /// Whether the launcher keeps that store itself; else process 0 does.
    package let isStoreKept: Bool
    /// How often the launcher has started them all before: its store may remember that.
    package let attempt: Int

    package init(
        rank: Int, size: Int, localRank: Int, address: String, port: Int,
        isStoreKept: Bool = false, attempt: Int = 0
    ) {
        self.rank = rank
        self.size = size
        self.localRank = localRank
        self.address = address
        self.port = port
        self.isStoreKept = isStoreKept
        self.attempt = attempt
    }

    /// What a launcher calls rank, size and rank on the host.
    private struct Names {
        let rank: String
        let size: String
        let localRank: String
    }

    /// torchrun's, and those to be set by hand: they go before others, as torchrun may itself be started by Slurm or
    /// mpirun, once per host.
    private static let usual = Names(rank: "RANK", size: "WORLD_SIZE", localRank: "LOCAL_RANK")
    private static let openMPI = Names(
        rank: "OMPI_COMM_WORLD_RANK", size: "OMPI_COMM_WORLD_SIZE",
        localRank: "OMPI_COMM_WORLD_LOCAL_RANK")
    private static let slurm = Names(
        rank: "SLURM_PROCID", size: "SLURM_NTASKS", localRank: "SLURM_LOCALID")

    /// - Parameter variables: of the environment.
    /// - Returns: `nil` where there is one process.
    package static func find(
        in variables: [String: String]
    ) throws(ProcessPlaceError) -> ProcessPlace? {
        guard let names = try launcher(variables) else { return nil }
        let reader = Reader(variables)
        let (rank, size) = (try reader.number(names.rank), try reader.number(names.size))
        guard size >= 1, rank < size else {
            throw .rank(names.rank, rank, size: names.size, size)
        }
        // Where it is not said they are taken to share a host.
        let local = variables[names.localRank] == nil ? rank : try reader.number(names.localRank)
        guard local <= rank else {
            throw .localRank(names.localRank, local, rank: names.rank, rank)
        }
        guard size > 1 else { return nil }
        let port = try reader.number("MASTER_PORT", beside: names.size)
        guard (1...65_535).contains(port) else { throw .number("MASTER_PORT", "\(port)") }
        return ProcessPlace(
            rank: rank, size: size, localRank: local,
            address: try reader.text("MASTER_ADDR", beside: names.size), port: port,
            isStoreKept: variables["TORCHELASTIC_USE_AGENT_STORE"] == "True",
            attempt: variables["TORCHELASTIC_RESTART_COUNT"] == nil
                ? 0 : try reader.number("TORCHELASTIC_RESTART_COUNT"))
    }

    private static func launcher(
        _ variables: [String: String]
    ) throws(ProcessPlaceError) -> Names? {
        for names in [usual, openMPI] {
            switch (variables[names.rank], variables[names.size]) {
            case (nil, nil): continue
            case (nil, _): throw .missing(names.rank, beside: names.size)
            case (_, nil): throw .missing(names.size, beside: names.rank)
            default: return names
            }
        }
        // Inside an allocation, but not started by srun, one of the two is set alone: one process.
        let isSlurm = variables[slurm.rank] != nil && variables[slurm.size] != nil
        return isSlurm ? slurm : nil
    }

    private struct Reader {
        let variables: [String: String]

        init(_ variables: [String: String]) { self.variables = variables }

        func text(
            _ name: String, beside other: String
        ) throws(ProcessPlaceError) -> String {
            guard let text = variables[name], !text.isEmpty else {
                throw .missing(name, beside: other)
            }
            return text
        }

        func number(
            _ name: String, beside other: String? = nil
        ) throws(ProcessPlaceError) -> Int {
            let text = try text(name, beside: other ?? name)
            guard let number = Int(text), number >= 0 else { throw .number(name, text) }
            return number
        }
    }
}

package enum ProcessPlaceError: Error, Equatable, CustomStringConvertible {
    case missing(String, beside: String)
    case number(String, String)
    case rank(String, Int, size: String, Int)
    case localRank(String, Int, rank: String, Int)

    package var description: String {
        switch self {
        case .missing(let name, let other) where name.hasPrefix("MASTER"):
            "\(other) says that there are several processes, and \(name) is not set: MASTER_ADDR and MASTER_PORT are the host of process 0 and a free port of it, the same for all; for one process unset \(other)"
        case .missing(let name, let other):
            name == other
                ? "\(name) is empty"
                : "\(other) is set and \(name) is not: processes that train together need both, and one alone needs neither"
        case .number(let name, let text):
            "\(name) is '\(text)', which is no number that it can be"
        case .rank(let name, let rank, let other, let size):
            "\(name) is \(rank) and \(other) is \(size): ranks go from 0 to one less than the number of processes"
        case .localRank(let name, let local, let other, let rank):
            "\(name) is \(local) and \(other) is \(rank): the rank on a host cannot be above the rank among all"
        }
    }
}
