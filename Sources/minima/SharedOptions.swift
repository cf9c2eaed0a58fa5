import ArgumentParser
import Artifacts
import Foundation
import Tensors

/// Where and how a command computes.
struct ComputeOptions: ParsableArguments {
    @Option(help: "Where to compute: cpu, cuda or cuda:N. Default: a GPU where there is one.")
    var device: DeviceName = .best

    @Option(help: "CPU threads. Default: what libtorch chooses, one per core.")
    var threads: Int?

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads must be 1 or more") }
    }

    /// Applies the thread count and resolves the device.
    func resolve() throws -> Device {
        if let threads { TorchRuntime.threads = threads }
        return try Self.available(device.device)
    }

    /// The same for one of several processes: of a host's GPUs each takes its own, unless one is named.
    func resolve(for place: ProcessPlace?) throws -> Device {
        guard let place, case .cuda = device.device, !device.isIndexed else {
            return try resolve()
        }
        if let threads { TorchRuntime.threads = threads }
        return try Self.available(.cuda(place.localRank), of: place)
    }

    private static func available(
        _ device: Device, of place: ProcessPlace? = nil
    ) throws -> Device {
        if case .cuda(let index) = device, index >= TorchRuntime.cudaDeviceCount {
            throw DeviceUnavailable(device: device, place: place)
        }
        return device
    }
}

struct DeviceUnavailable: Error, CustomStringConvertible {
    let device: Device
    /// Where the device was not asked for by name.
    var place: ProcessPlace?

    var description: String {
        let sees =
            "libtorch \(TorchRuntime.version) sees \(TorchRuntime.cudaDeviceCount) CUDA devices"
        guard let place else { return "device \(device) is not available: \(sees)" }
        return
            "process \(place.rank) is number \(place.localRank) of its host and would take \(device), and \(sees): start no more processes on a host than it has GPUs, set LOCAL_RANK if they are on several hosts, or pass --device cuda:0 if each is shown a GPU of its own"
    }
}

/// A device as written on the command line.
struct DeviceName: ExpressibleByArgument {
    let device: Device
    /// Whether it was named by its number.
    let isIndexed: Bool

    static var best: DeviceName { DeviceName(device: .best) }

    private init(device: Device) { (self.device, isIndexed) = (device, false) }

    init?(argument: String) {
        isIndexed = argument.contains(":")
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("cpu", 1): device = .cpu
        case ("cuda", 1): device = .cuda(0)
        case ("cuda", 2):
            guard let index = Int(parts[1]), (0..<64).contains(index) else { return nil }
            device = .cuda(index)
        default: return nil
        }
    }

    var defaultValueDescription: String { device.description }
}

/// The types that a model can compute in.
enum ComputeType: String, ExpressibleByArgument, CaseIterable {
    case float32, bfloat16

    var elementType: ElementType {
        switch self {
        case .float32: .float32
        case .bfloat16: .bfloat16
        }
    }
}

/// What weights can be quantised to, one byte a value.
enum QuantizedType: String, ExpressibleByArgument, CaseIterable {
    case int8, fp8

    var elementType: ElementType {
        switch self {
        case .int8: .int8
        case .fp8: .float8e4m3
        }
    }
}

struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one JSON object instead of text.")
    var json = false

    @Flag(name: .shortAndLong, help: "Show no progress.")
    var quiet = false

    /// Prints `value` as JSON with sorted keys.
    func printJSON(_ value: some Encodable) throws {
        print(String(decoding: try ResultJSON.encode(value), as: UTF8.self))
    }
}
