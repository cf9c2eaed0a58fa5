import Testing

@testable import Tensors

@Suite("ProcessPlace")
struct ProcessPlaceTests {
    private static let meeting = ["MASTER_ADDR": "node1", "MASTER_PORT": "29500"]

    private func find(
        _ variables: [String: String], meeting: Bool = true
    ) throws -> ProcessPlace? {
        try ProcessPlace.find(
            in: meeting ? variables.merging(Self.meeting) { ours, _ in ours } : variables)
    }

    @Test("nothing set is one process, and so is a group of one")
    func alone() throws {
        let cases: [[String: String]] = [
            [:], ["PATH": "/bin"], ["RANK": "0", "WORLD_SIZE": "1"],
            ["SLURM_PROCID": "0", "SLURM_NTASKS": "1"],
            // An allocation's shell, and a batch script that asked for no number of tasks.
            ["SLURM_NTASKS": "8", "SLURM_JOB_ID": "5"], ["SLURM_PROCID": "0"],
        ]
        for variables in cases {
            let place = try find(variables, meeting: false)
            #expect(place == nil, "\(variables)")
        }
    }

    @Test("torchrun, mpirun, srun and variables set by hand")
    func launchers() throws {
        let byHand = try find(["RANK": "1", "WORLD_SIZE": "2"])
        #expect(
            byHand
                == ProcessPlace(rank: 1, size: 2, localRank: 1, address: "node1", port: 29_500))
        // torchrun, once per host of a Slurm job: its ranks count.
        let torchrun = try find([
            "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "SLURM_PROCID": "1",
            "SLURM_NTASKS": "2", "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": "3",
        ])
        #expect(
            torchrun
                == ProcessPlace(
                    rank: 5, size: 8, localRank: 1, address: "node1", port: 29_500,
                    isStoreKept: true, attempt: 3))
        let expected = ProcessPlace(
            rank: 3, size: 4, localRank: 1, address: "node1", port: 29_500)
        for (rank, size, local) in [
            ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
            ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
        ] {
            let place = try find([rank: "3", size: "4", local: "1"])
            #expect(place == expected)
        }
    }

    @Test("what is set by half, or contradicts itself, is named")
    func refused() throws {
        let two = ["RANK": "0", "WORLD_SIZE": "2"]
        let cases: [(variables: [String: String], words: [String])] = [
            (["RANK": "0"], ["RANK is set", "WORLD_SIZE is not"]),
            (["WORLD_SIZE": "2"], ["WORLD_SIZE is set", "RANK is not"]),
            (["OMPI_COMM_WORLD_SIZE": "2"], ["OMPI_COMM_WORLD_RANK is not"]),
            (["RANK": "2", "WORLD_SIZE": "2"], ["RANK is 2", "WORLD_SIZE is 2"]),
            (["RANK": "0", "WORLD_SIZE": "0"], ["WORLD_SIZE is 0"]),
            (["RANK": "one", "WORLD_SIZE": "2"], ["RANK is 'one'"]),
            (["RANK": "-1", "WORLD_SIZE": "2"], ["RANK is '-1'"]),
            (["RANK": "", "WORLD_SIZE": "2"], ["RANK is empty"]),
            (two.merging(["LOCAL_RANK": "1"]) { $1 }, ["LOCAL_RANK is 1", "RANK is 0"]),
            (two.merging(["MASTER_PORT": "70000"]) { $1 }, ["MASTER_PORT is '70000'"]),
            (two.merging(["MASTER_ADDR": ""]) { $1 }, ["MASTER_ADDR is not set"]),
        ]
        for (variables, words) in cases {
            let error = try #require(throws: ProcessPlaceError.self) { try find(variables) }
            for word in words { #expect(error.description.contains(word), "\(error)") }
        }
        let error = try #require(throws: ProcessPlaceError.self) {
            try find(["SLURM_PROCID": "0", "SLURM_NTASKS": "2"], meeting: false)
        }
        #expect(error.description.contains("MASTER_PORT is not set"), "\(error)")
        #expect(error.description.contains("SLURM_NTASKS"), "\(error)")
    }
}
