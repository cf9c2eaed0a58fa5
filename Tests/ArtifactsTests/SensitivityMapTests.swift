import TensorNetworks
import Tensors
import Testing

@testable import Artifacts

@Suite("Sensitivity maps and plans as files")
struct SensitivityMapTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    static let formats: [Format] = [
        .lowRank(rank: 8), .pivotedLowRank(rank: 9),
        .tensorTrain(.init(output: [8, 8], input: [12, 8]), ranks: [6]),
        .tensorRing(.init(output: [8, 8], input: [12, 8]), ranks: [2, 3]),
        .tucker(.init(output: [8, 8], input: [12, 8]), ranks: [2, 3, 4, 5]),
        .blockTerm(.init(output: [8, 8], input: [12, 8]), ranks: [2, 2, 3, 3], terms: 2),
        .mixture([.lowRank(rank: 1), .pivotedLowRank(rank: 2)]),
    ]

    static func matrix(
        _ name: String = "m", score: Double = 0.25, entropy: Double = 2.5,
        spectrum: [Double] = [0.75, 0.125], type: ElementType = .bfloat16,
        candidates: [Candidate]? = nil
    ) throws -> MatrixSensitivity {
        MatrixSensitivity(
            name: name, rows: 64, columns: 96, elementType: type, score: score, entropy: entropy,
            spectrum: spectrum,
            candidates: try candidates
                ?? formats.enumerated().map { index, format in
                    try Candidate(
                        format, rows: 64, columns: 96, as: type,
                        predictedKL: 0.5 / Double(index + 1))
                })
    }

    static func map(_ matrices: [MatrixSensitivity]) throws -> SensitivityMap {
        SensitivityMap(
            source: try #require(CompressedModel.fingerprint),
            settings: ["windows": .integer(8), "predictor": .string("test")], matrices: matrices)
    }

    @Test("a map comes back, and the same map is the same bytes")
    func roundTrip() throws {
        let map = try Self.map([try Self.matrix("a"), try Self.matrix("b", type: .float32)])
        let path = folder.file("sensitivity.json")
        try map.write(path)
        #expect(try SensitivityMap.read(path) == map)
        #expect(map.parameterCount == 2 * 64 * 96)
        let text = String(decoding: try folder.contents("sensitivity.json"), as: UTF8.self)
        for key in ["\"predicted_kl\" : 0.5", "\"dtype\" : \"BF16\"", "\"version\" : 1"] {
            #expect(text.contains(key), "\(key)")
        }
        try map.write(folder.file("again.json"))
        #expect(
            try folder.contents("again.json") == folder.contents("sensitivity.json"))
        #expect(try folder.names == ["again.json", "sensitivity.json"])
    }

    @Test("a plan comes back")
    func plan() throws {
        let plan = try CompressedModel.plan(CompressedModel.everyFormat)
        let path = folder.file("plan.json")
        try plan.write(path)
        #expect(try CompressionPlan.read(path) == plan)
        let lines = String(decoding: try folder.contents("plan.json"), as: UTF8.self)
            .split(separator: "\n")
        #expect(lines.count > 50, "one value per line, for diffs")
        let bad = try CompressedModel.plan([])
        #expect(throws: CheckpointError.self) { try bad.write(folder.file("bad.json")) }
        #expect(try folder.names == ["plan.json"])
    }

    @Test("what a matrix cannot be is neither written nor read")
    func refusedValues() throws {
        let (nan, infinity) = (Double.nan, Double.infinity)
        func candidate(_ format: Format, _ parameters: Int, _ bytes: Int, _ kl: Double = 0.5)
            -> [Candidate]
        {
            [Candidate(format: format, parameters: parameters, bytes: bytes, predictedKL: kl)]
        }
        let good = candidate(.lowRank(rank: 2), 320, 640)
        try Self.map([try Self.matrix(candidates: good)]).validate()
        let bad: [(SensitivityMap, String)] = try [
            (Self.map([Self.matrix("m"), Self.matrix("m")]), "twice"),
            (Self.map([Self.matrix(score: nan)]), "score"),
            (Self.map([Self.matrix(score: -0.1)]), "score"),
            (Self.map([Self.matrix(score: 1.5)]), "score"),
            (Self.map([Self.matrix(entropy: -1)]), "entropy"),
            (Self.map([Self.matrix(entropy: infinity)]), "entropy"),
            (Self.map([Self.matrix(spectrum: [0.5, nan])]), "spectrum"),
            (Self.map([Self.matrix(spectrum: Array(repeating: 0, count: 65))]), "spectrum"),
            (Self.map([Self.matrix(type: .int8)]), "I8"),
            (Self.map([Self.matrix(candidates: good + good)]), "twice"),
            (
                Self.map([Self.matrix(candidates: candidate(.lowRank(rank: 2), 321, 640))]),
                "says 321 parameters; its format takes 320"
            ),
            (
                Self.map([Self.matrix(candidates: candidate(.pivotedLowRank(rank: 2), 316, 632))]),
                "says 632 bytes; its format takes 640"
            ),
            (
                Self.map([Self.matrix(candidates: candidate(.lowRank(rank: 2), 320, 640, nan))]),
                "predicted_kl"
            ),
            (
                Self.map([Self.matrix(candidates: candidate(.lowRank(rank: 2), 320, 640, -1))]),
                "predicted_kl"
            ),
            (Self.map([Self.matrix(candidates: candidate(.lowRank(rank: 65), 1, 2))]), "rank 65"),
            (
                Self.map([Self.matrix(candidates: candidate(.lowRank(rank: 64), 10_240, 20_480))]),
                "more values than"
            ),
            (Self.map([Self.matrix(candidates: candidate(.dense, 6_144, 12_288))]), "dense"),
        ]
        for (map, reason) in bad {
            let path = folder.file("bad.json")
            do {
                try map.write(path)
                Issue.record("written: \(reason)")
            } catch {
                #expect(error.description.contains(reason), "\(error)")
                #expect(error.description.contains("bad.json"))
            }
            // NaN and infinity have no JSON; all else is refused by a reader, too.
            guard let text = try? StrictJSON.encode(map) else { continue }
            #expect(throws: CheckpointError.self) {
                try SensitivityMap.read(text, of: "bad.json")
            }
        }
        #expect(try folder.names.isEmpty)
    }

    @Test("sums that pass all arithmetic are refused, not trapped on")
    func overflow() throws {
        let side = Format.largestSide
        let modes = TensorModes(output: [side], input: [side])
        let huge = Format.mixture(
            Array(
                repeating: .blockTerm(modes, ranks: [side, side], terms: 64), count: 64))
        let matrix = MatrixSensitivity(
            name: "m", rows: side, columns: side, elementType: .float64, score: 0, entropy: 0,
            spectrum: [],
            candidates: [Candidate(format: huge, parameters: 1, bytes: 1, predictedKL: 0)])
        #expect(throws: ManifestError.self) { try Self.map([matrix]).validate() }
        let dense = (0..<200).map {
            MatrixSensitivity(
                name: "\($0)", rows: side, columns: side, elementType: .float64, score: 0,
                entropy: 0, spectrum: [], candidates: [])
        }
        #expect(throws: ManifestError.elements(limit: SensitivityMap.mostElements)) {
            try Self.map(dense).validate()
        }
    }

    static let edits: [(from: String, to: String, reason: String)] = [
        ("\"version\" : 1", "\"version\" : 2", "bad.json: it has format version 2"),
        (",\n  \"version\" : 1", "", "no version"),
        ("\"version\" : 1", "\"version\" : 2, \"more\" : 1", "format version 2"),
        ("\"score\"", "\"comment\" : \"\", \"score\"", "unknown key 'matrices[0].comment'"),
        ("\"score\" : 0.25", "\"score\" : 0.25, \"score\" : 0.25", "twice"),
        ("\"score\" : 0.25", "\"score\" : NaN", "malformed"),
        ("\"score\" : 0.25", "\"score\" : 1e999", ""),
        ("\"score\" : 0.25,", "", "is missing"),
        ("\"rows\" : 64", "\"rows\" : 65", "takes"),
        ("\"rows\" : 64", "\"rows\" : 9223372036854775807", "cannot be"),
        ("\"predicted_kl\" : 0.5", "\"predicted_kl\" : -0.5", "predicted_kl"),
        ("\"dtype\" : \"BF16\"", "\"dtype\" : \"BF17\"", "dtype"),
        ("\"candidates\"", "\"candidate\"", "candidates"),
        ("0a0a", "0A0A", "fingerprint"),
    ]

    @Test("text that is not a map", arguments: edits)
    func strict(from: String, to: String, reason: String) throws {
        let text = String(
            decoding: try StrictJSON.encode(try Self.map([try Self.matrix()])), as: UTF8.self)
        let edited = text.split(separator: from, omittingEmptySubsequences: false)
            .joined(separator: to)
        try #require(edited != text)
        try expectRefusal(Array(edited.utf8), reason)
    }

    @Test("files that are cut short, of another kind, or not there")
    func foreign() throws {
        let text = try StrictJSON.encode(try Self.map([try Self.matrix()]))
        for length in stride(from: 0, to: text.count - 2, by: 97) {
            try expectRefusal(Array(text.prefix(length)), "malformed at byte")
        }
        let plan = try CompressedModel.plan(CompressedModel.everyFormat)
        try expectRefusal(try StrictJSON.encode(plan), "not a sensitivity map")
        try expectRefusal(Array("[1]".utf8), "not a sensitivity map: it has no version")
        try expectRefusal(try Configurations.bytes(), "not a sensitivity map")
        #expect(throws: CheckpointError.self) {
            try SensitivityMap.read(folder.file("none.json"))
        }
        do {
            _ = try CompressionPlan.read(text, of: "x.json")
            Issue.record("a map was read as a plan")
        } catch {
            #expect(error.description.contains("not a compression plan"), "\(error)")
        }
    }

    private func expectRefusal(_ bytes: [UInt8], _ reason: String) throws {
        try folder.write(bytes, to: "bad.json")
        do {
            _ = try SensitivityMap.read(folder.file("bad.json"))
            Issue.record("read, in spite of: \(reason)")
        } catch {
            #expect(error.description.contains("bad.json"), "\(error)")
            // What Foundation says of a number that is too large is its own.
            #expect(reason.isEmpty || error.description.contains(reason), "\(error)")
            #expect(!error.description.contains("\n"))
        }
    }

    @Test("damaged maps and plans are refused in one line, without a crash")
    func fuzz() throws {
        let seeds = [
            try StrictJSON.encode(try Self.map([try Self.matrix("a"), try Self.matrix("b")])),
            try StrictJSON.encode(try CompressedModel.plan(CompressedModel.everyFormat)),
        ]
        var mutator = Mutator(seed: 11)
        var refused = 0
        for round in 0..<4_000 {
            let bytes = mutator.mutated(seeds[round % 2])
            do {
                if round % 2 == 0 {
                    try SensitivityMap.read(bytes, of: "x.json").validate()
                } else {
                    try CompressionPlan.read(bytes, of: "x.json").validate()
                }
            } catch {
                refused += 1
                let text = "\(error)"
                #expect(error is CheckpointError, "\(text)")
                #expect(!text.isEmpty && text.utf8.count < 8_000 && !text.contains("\n"))
            }
        }
        #expect(refused > 2_000)
        print("fuzz: \(refused) of 4000 maps and plans refused")
    }

    @Test("the map of a large model is read in seconds")
    func large() throws {
        let formats = (1...200).map { Format.pivotedLowRank(rank: $0) }
        let matrices = try (0..<64).map { index in
            try MatrixSensitivity(
                name: "m\(index)", rows: 5_120, columns: 5_120, elementType: .bfloat16,
                score: 0.5, entropy: 1.5, spectrum: Array(repeating: 0.015625, count: 64),
                candidates: formats.map {
                    try Candidate(
                        $0, rows: 5_120, columns: 5_120, as: .bfloat16, predictedKL: 0.125)
                })
        }
        let path = folder.file("large.json")
        try Self.map(matrices).write(path)
        var read: [SensitivityMap] = []
        let time = try ContinuousClock().measure { read.append(try SensitivityMap.read(path)) }
        let count = try folder.contents("large.json").count
        print("a map of \(count) bytes was read in \(time)")
        #expect(time < .seconds(4))
        #expect(read.first?.matrices == matrices)
    }
}

@Suite("Byte counts")
struct ByteCountTests {
    @Test(
        "sizes as people write them",
        arguments: [
            ("0", 0), ("1073741824", 1 << 30), ("40GiB", 40 << 30), ("40 gib", 40 << 30),
            ("1.2GiB", 1_288_490_188), ("1.5KiB", 1_536), ("10KB", 10_000), ("2.5 MB", 2_500_000),
            ("1GB", 1_000_000_000), ("3MiB", 3 << 20), ("7B", 7), ("1.9", 1),
            ("0.5TiB", 1 << 39), ("9223372036854775807", .max),
        ])
    func valid(text: String, bytes: Int) {
        #expect(ByteCount(text)?.bytes == bytes)
    }

    @Test(
        "everything else",
        arguments: [
            "", " ", "GiB", "-1", "+1", "1e9", "0x10", "1.GiB", ".5GiB", "1.2.3", "1,5GiB", "nan",
            "inf", "40Gi", "40G", "1 GiB ", " 1GiB", "9223372036854775808", "99999999999TiB",
            "10000000.5TiB", "١GiB", "½GiB", "1GiBs",
        ])
    func invalid(text: String) {
        #expect(ByteCount(text) == nil)
    }
}
