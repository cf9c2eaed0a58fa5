// swift-tools-version: 6.1
// Targets stand in data-flow order: a target imports only targets above it.
import PackageDescription

let swiftSettings: [SwiftSetting] = [.swiftLanguageMode(.v6)]

let package = Package(
    name: "minima",
    targets: [
        .systemLibrary(name: "CZlib", path: "Sources/CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLZMA", path: "Sources/CLZMA", providers: [.apt(["liblzma-dev"])]),
        .target(name: "Text", dependencies: ["CZlib", "CLZMA"], swiftSettings: swiftSettings),
        .testTarget(name: "TextTests", dependencies: ["Text"], swiftSettings: swiftSettings),
    ]
)
