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

let package = Package(
    name: "minima",
    targets: [
        .systemLibrary(name: "CTorch", path: "native"),
        .systemLibrary(name: "CZlib", path: "Sources/CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLZMA", path: "Sources/CLZMA", providers: [.apt(["liblzma-dev"])]),
        .target(
            name: "Tensors", dependencies: ["CTorch"], swiftSettings: swiftSettings,
            linkerSettings: shim),
        .target(name: "TensorNetworks", dependencies: ["Tensors"], swiftSettings: swiftSettings),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: swiftSettings),
        .testTarget(
            name: "TensorNetworksTests", dependencies: ["TensorNetworks", "Tensors"],
            swiftSettings: swiftSettings),
    ]
)
