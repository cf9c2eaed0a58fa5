import ArgumentParser
import Artifacts
import Evaluate
import Foundation
import Models
import TensorNetworks
import Tensors

/// What `bench decode`, `bench prefill` and `bench serve` measure and `serve` serves: a model, or a shape with random weights.
struct BenchModelOptions: ParsableArguments {
    @Argument(help: "Folder of the model, dense or compressed.", completion: .directory)
    var model: String?

    @Option(
        help: "Configuration of a model without weights, as in config.json.", completion: .file())
    var config: String?

    @Flag(help: "Random weights, of --config's shape.")
    var dummy = false

    @Option(help: "Compress the random weights to this share of the linear layers' values.")
    var keep: Double?

    @Option(help: "Format that --keep sizes. Default: low-rank.")
    var format: Format.Kind?

    @Option(
        help:
            "What ranks of --keep are multiples of. Default for pairs: 64, 8 for matrices with a side below 512."
    )
    var rankMultiple: Int?

    @Option(help: "Compress the random weights as this plan says.", completion: .file())
    var plan: String?

    @Option(help: "Quantise the random weights of the linear layers: int8 or fp8.")
    var weights: QuantizedType?

    @Option(help: "Type of the weights. Default: bfloat16 on a GPU, float32 on a CPU.")
    var dtype: ComputeType?

    @Option(help: "Type of cached keys and values. Default: bf16 on a GPU; a CPU keeps float32.")
    var kv: CacheKind?

    @OptionGroup var compute: ComputeOptions

    func validate() throws {
        switch (model, config) {
        case (nil, nil): break
        case (.some, .some): throw ValidationError("give a model's folder or --config, not both")
        case (.some, nil):
            if dummy { throw ValidationError("--dummy weights are those of a --config") }
            if keep != nil || plan != nil || weights != nil {
                throw ValidationError(
                    "--keep, --plan and --weights are for --dummy weights; `minima compress` compresses a model"
                )
            }
        case (nil, .some):
            guard dummy else {
                throw ValidationError("--config has no weights: pass --dummy for random ones")
            }
        }
        if keep != nil, plan != nil { throw ValidationError("give --keep or --plan, not both") }
        if let keep, !(keep > 0 && keep < 1) {
            throw ValidationError("--keep must be above 0 and below 1")
        }
        if let rankMultiple {
            guard keep != nil, rankMultiple >= 1 else {
                throw ValidationError("--rank-multiple is 1 or more, and needs --keep")
            }
        }
        if let format {
            guard keep != nil else { throw ValidationError("--format needs --keep to size it") }
            guard format != .dense else { throw ValidationError("dense is what --keep is not") }
        }
    }

    /// Makes the model once it is known to fit.
    /// - Parameters:
    ///   - load: what is to be computed of it.
    ///   - context: tokens of a sequence at most.
    func measured(_ load: BenchmarkMemory.Load, context: Int) throws -> MeasuredModel {
        let device = try resolvedDevice()
        let type = elementType(on: device)
        let configuration = try configuration()
        guard context <= configuration.maxPositions else {
            throw ContextTooLong(tokens: context, context: configuration.maxPositions)
        }
        let source = try source(configuration, type)
        let need = try BenchmarkMemory(
            source, configuration, as: type, cache: kv?.elementType, on: device, for: load)
        try need.require(BenchmarkMemory.available(on: device), on: device)
        let measured = try MeasuredModel(
            CausalLanguageModel(source, configuration, as: type, on: device),
            cache: kv?.elementType)
        StandardError.note(measured.note)
        return measured
    }

    /// - Throws: where the cache's type is not for it.
    func resolvedDevice() throws -> Device {
        let device = try compute.resolve()
        if kv != nil, device == .cpu {
            throw ValidationError("--kv is for a GPU: a CPU keeps keys and values in float32")
        }
        return device
    }

    /// What is computed in.
    func elementType(on device: Device) -> ElementType {
        dtype?.elementType ?? (device == .cpu ? .float32 : .bfloat16)
    }

    /// Where another option says what is measured, none of these is needed.
    func require() throws {
        guard model != nil || config != nil else {
            throw ValidationError("give a model's folder, or --config and --dummy")
        }
    }

    /// - Throws: where neither a model nor a configuration is named, or it cannot be read.
    func configuration() throws -> ModelConfiguration {
        try require()
        return try config.map { try ModelConfiguration(file: $0) }
            ?? ModelConfiguration(folder: model ?? "")
    }

    /// Where the weights come from; none is read or made yet.
    func source(
        _ configuration: ModelConfiguration, _ type: ElementType
    ) throws -> WeightSource {
        if let model {
            let checkpoint = try Checkpoint(model)
            try checkpoint.validate(against: configuration)
            return .checkpoint(checkpoint)
        }
        guard let plan = try randomPlan(configuration, type) else {
            return .random(RandomModel(configuration))
        }
        return .random(
            try RandomModel(
                configuration,
                compressedBy: weights.map { plan.storing(as: $0.elementType) } ?? plan))
    }

    /// What the random weights are compressed to; `nil` where they are as config.json has them.
    private func randomPlan(
        _ configuration: ModelConfiguration, _ type: ElementType
    ) throws -> CompressionPlan? {
        if let plan { return try CompressionPlan.read(plan) }
        if let keep {
            return try CompressionPlan(
                share: keep, as: format ?? .lowRank, of: configuration, type: type,
                rankMultiple: rankMultiple)
        }
        return weights.map { CompressionPlan(dense: configuration, as: $0.elementType) }
    }
}

enum CacheKind: String, ExpressibleByArgument, CaseIterable {
    case bf16, fp8

    var elementType: ElementType { self == .bf16 ? .bfloat16 : .float8e4m3 }
}

private struct ContextTooLong: Error, CustomStringConvertible {
    let tokens: Int
    let context: Int

    var description: String {
        "sequences of \(tokens.grouped) tokens are beyond the model's context of \(context.grouped)"
    }
}

/// What `--seconds` of the benches may be.
enum MeasurementTime {
    static func validate(_ seconds: Double) throws {
        guard seconds > 0, seconds <= 60 else {
            throw ValidationError("--seconds must be above 0 and at most 60")
        }
    }
}

extension OutputOptions {
    /// Prints one line or one object for each case.
    func show<Case: BenchmarkRow>(_ cases: [Case], csv: Bool) throws {
        if json {
            try printJSON(cases)
        } else {
            print(csv ? cases.csv : cases.table)
        }
    }
}

extension Sequence where Element: BenchmarkRow {
    /// With a header, comma-separated.
    var csv: String { lines.map { $0.joined(separator: ",") }.joined(separator: "\n") }

    /// For people.
    var table: String {
        let header = Element.columns.map { $0.replacingOccurrences(of: "_", with: " ") }
        return ([header] + lines.dropFirst()).columns(texts: 1)
    }

    private var lines: [[String]] { [Element.columns] + map(\.values) }
}
