// swift-tools-version: 6.1
// Targets stand in data-flow order: a target imports only targets above it.
import PackageDescription

let swiftSettings: [SwiftSetting] = [.swiftLanguageMode(.v6)]

// The shim is found where `make setup` put it, or beside an installed program (`make dist`).
let shim: [LinkerSetting] = [
    .unsafeFlags([
        "-L\(Context.packageDirectory)/.deps/lib",
        "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../lib",
        "-Xlinker", "-rpath", "-Xlinker", "\(Context.packageDirectory)/.deps/lib",
    ])
]

func target(
    _ name: String, _ dependencies: [Target.Dependency], linking: [LinkerSetting] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, swiftSettings: swiftSettings,
        linkerSettings: linking)
}

func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
        swiftSettings: swiftSettings)
}

let package = Package(
    name: "minima",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto.git", exact: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift.git", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams.git", exact: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", exact: "2.28.1"),
        .package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-http-types.git", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", exact: "1.16.2"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle.git", exact: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CTorch", path: "native"),
        .systemLibrary(name: "CZlib", path: "Sources/CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLZMA", path: "Sources/CLZMA", providers: [.apt(["liblzma-dev"])]),
        .target(name: "CDecode", cSettings: [.unsafeFlags(["-O3"])]),
        .target(name: "CCUDA", linkerSettings: [.linkedLibrary("dl")]),
        target("Tensors", ["CTorch"], linking: shim),
        target("TensorNetworks", ["Tensors"]),
        target(
            "Artifacts",
            ["Tensors", "TensorNetworks", .product(name: "Crypto", package: "swift-crypto")]),
        .target(
            name: "Kernels", dependencies: ["CCUDA", "Artifacts"],
            resources: [
                "CUDA/arguments.h", "CUDA/common.cuh", "CUDA/widening.cuh", "CUDA/fill.cu",
                "CUDA/linear.cu", "CUDA/gemm.cu", "CUDA/attention.cu", "CUDA/embedding.cu",
                "CUDA/prompt.cu", "CUDA/sample.cu", "CUDA/contraction.cu", "CUDA/draft.cu",
            ].map { .embedInCode($0) }, swiftSettings: swiftSettings),
        target("Text", ["CZlib", "CLZMA"]),
        target("Models", ["Tensors", "TensorNetworks", "Artifacts"]),
        target("Calibration", ["Tensors", "Artifacts", "Models"]),
        target(
            "Analyze",
            [
                "Tensors", "TensorNetworks", "Artifacts", "Models", "Calibration",
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        target("Compress", ["Tensors", "TensorNetworks", "Artifacts", "Models", "Calibration"]),
        target("Heal", ["Tensors", "TensorNetworks", "Artifacts", "Text", "Models"]),
        target(
            "Generate",
            [
                "CDecode", "CCUDA", "Tensors", "TensorNetworks", "Artifacts", "Kernels", "Text",
                "Models",
            ]),
        target(
            "Speculate",
            [
                "Tensors", "TensorNetworks", "Artifacts", "Text", "Models", "Heal", "Generate",
            ]),
        // HTTP in, tokens out: it imports no tensor target.
        .target(
            name: "Serve",
            dependencies: [
                "Text",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            resources: [
                .embedInCode("Resources/openapi.json"), .embedInCode("Page/page.html"),
            ],
            swiftSettings: swiftSettings),
        target(
            "Evaluate",
            [
                "Tensors", "TensorNetworks", "Artifacts", "Text", "Models", "Generate",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        target(
            "Compare",
            [
                "Tensors", "TensorNetworks", "Artifacts", "Models", "Calibration", "Analyze",
                "Compress", "Evaluate",
            ]),
        target(
            "Ablate",
            [
                "Tensors", "Artifacts", "Text", "Models", "Calibration", "Heal", "Generate",
                "Speculate", "Evaluate", "Compare",
            ]),
        target("Report", ["TensorNetworks", "Artifacts"]),
        .executableTarget(
            name: "minima",
            dependencies: [
                "Tensors", "TensorNetworks", "Artifacts", "Text", "Models", "Calibration",
                "Analyze", "Compress", "Heal", "Generate", "Speculate", "Serve", "Evaluate",
                "Compare", "Ablate", "Report",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: swiftSettings),

        tests(of: "Tensors"),
        tests(of: "TensorNetworks", ["Tensors"]),
        tests(of: "Artifacts", ["Tensors", "TensorNetworks"]),
        .target(name: "SimulatedCUDA", dependencies: ["CCUDA"], path: "Tests/SimulatedCUDA"),
        tests(of: "Kernels", ["SimulatedCUDA"]),
        tests(of: "Text"),
        tests(of: "Models", ["Tensors", "TensorNetworks", "Artifacts"]),
        tests(of: "Calibration", ["Tensors", "Artifacts", "Models"]),
        tests(of: "Analyze", ["Tensors", "TensorNetworks", "Artifacts", "Models", "Calibration"]),
        tests(of: "Compress", ["Tensors", "TensorNetworks", "Artifacts", "Models", "Calibration"]),
        tests(of: "Heal", ["Tensors", "TensorNetworks", "Artifacts", "Text", "Models"]),
        tests(
            of: "Generate",
            [
                "CDecode", "CCUDA", "Tensors", "TensorNetworks", "Artifacts", "Kernels", "Text",
                "Models",
            ]),
        tests(of: "Speculate", ["Tensors", "Artifacts", "Text", "Models", "Heal", "Generate"]),
        tests(
            of: "Serve",
            [
                "Text", .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        tests(
            of: "Evaluate",
            [
                "Tensors", "TensorNetworks", "Artifacts", "Text", "Models", "Generate",
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        tests(
            of: "Compare",
            [
                "Tensors", "TensorNetworks", "Artifacts", "Models", "Calibration", "Analyze",
                "Compress",
            ]),
        tests(of: "Report", ["TensorNetworks", "Artifacts", "Tensors"]),
        // Runs the built program as a user does.
        .testTarget(name: "CommandTests", dependencies: ["minima"], swiftSettings: swiftSettings),
    ]
)
