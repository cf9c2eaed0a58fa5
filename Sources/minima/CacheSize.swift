import Artifacts
import Evaluate
import Foundation
import Generate
import Models
import Tensors

/// How many tokens a server keeps keys and values of.
struct CacheSize {
    let blocks: Int
    /// Of the weights, of what a step works with, and of the cache.
    let bytes: Int

    var tokens: Int { blocks * Executor.blockTokens }

    /// - Parameters:
    ///   - tokens: as asked for; `nil` takes what there is room for.
    ///   - room: bytes that may be taken; what weights and steps leave of it holds caches.
    ///   - sequences: answers at once; more than all of them can use is never taken.
    ///   - draft: what guesses ahead, with keys and values of its own.
    init(
        _ source: WeightSource, _ configuration: ModelConfiguration, as type: ElementType,
        cache: ElementType?, on device: Device, tokens: Int?, room: Int, sequences: Int,
        stepTokens: Int, draft: DraftConfiguration? = nil
    ) throws {
        let each = (configuration.maxPositions + Executor.blockTokens - 1) / Executor.blockTokens
        let (most, overflow) = each.multipliedReportingOverflow(by: sequences)
        let wanted = tokens.map { ($0 + Executor.blockTokens - 1) / Executor.blockTokens }
        let need = try BenchmarkMemory(
            source, configuration, as: type, cache: cache, on: device,
            for: .init(
                sequences: 0, tokens: 1, stepTokens: stepTokens, predictions: sequences,
                draftBytes: draft.map { DraftModel.byteCount($0, as: type) } ?? 0))
        func blockBytes(_ configuration: ModelConfiguration, _ type: ElementType) -> Int {
            PagedCache.byteCount(
                configuration, blocks: 1, blockTokens: Executor.blockTokens, as: type)
        }
        let plain = Executor.cacheType(type, on: device)
        let block =
            blockBytes(configuration, cache ?? plain)
            + (draft.map { blockBytes($0.layer, plain) } ?? 0)
        let left = (room - need.total) / block
        let blocks = wanted ?? min(overflow ? .max : most, left)
        guard blocks > 0, blocks <= left else {
            throw TooLittleMemory(
                need: need, blocks: max(1, wanted ?? 1), blockBytes: block, room: room,
                device: device)
        }
        self.blocks = blocks
        bytes = need.total + blocks * block
    }
}

private struct TooLittleMemory: Error, CustomStringConvertible {
    let need: BenchmarkMemory
    let blocks: Int
    let blockBytes: Int
    let room: Int
    let device: Device

    var description: String {
        func words(_ bytes: Double) -> String { String(format: "%.2f GiB", bytes / 0x1p30) }
        return
            "\(words(Double(need.weights))) of weights, \(words(Double(need.working))) to work in and \(words(Double(blocks) * Double(blockBytes))) of keys and values do not fit: of \(device) \(words(Double(room))) may be taken"
    }
}
