import CCUDA
import Foundation
import Kernels
import Tensors

/// Chooses tokens on a GPU: one launch and one small copy for all sequences of a step.
final class DeviceSampler {
    private let kernels: DeviceKernels
    private let stream: CUDAStream
    private let device: Device
    /// int32: what is chosen, then how, then which tokens were seen; it only grows.
    private var memory: Tensor?

    init(_ kernels: DeviceKernels, _ stream: CUDAStream, on device: Device) {
        (self.kernels, self.stream, self.device) = (kernels, stream, device)
    }

    /// - Parameters:
    ///   - logits: float32 `[choices, vocabulary]`, on the GPU.
    ///   - choices: `nil` where logits are wanted.
    func predictions(out logits: Tensor, _ choices: [TokenChoice?]) throws -> [Prediction] {
        guard choices.contains(where: { $0 != nil }), logits.shape[1] <= 1 << TOKEN_BITS else {
            return try DeviceRunner.predictions(out: logits, choices)
        }
        let tokens = try tokens(out: logits, choices)
        let others = choices.indices.filter { choices[$0] == nil }
        var values: [Prediction] = []
        if !others.isEmpty {
            let places = try Tensor(others, shape: [others.count], on: device)
            values = try DeviceRunner.predictions(
                out: logits.selecting(places, along: 0), others.map { _ in nil })
        }
        return choices.indices.map { index in
            if let place = others.firstIndex(of: index) { return values[place] }
            return tokens[index] < 0 ? .notFinite : .token(Int(tokens[index]))
        }
    }

    /// The tokens of `choices`; -1 where a logit is no finite number, and what is likeliest where there is no choice.
    func tokens(out logits: Tensor, _ choices: [TokenChoice?]) throws -> [Int32] {
        let vocabulary = logits.shape[1]
        let masks = choices.map { choice -> Int in
            guard let choice, choice.options.repetitionPenalty != 1 else { return 0 }
            return (vocabulary + 31) / 32
        }
        // Choices begin at a multiple of their alignment.
        let offset = (choices.count + 1) / 2 * 2
        let each = MemoryLayout<SampleChoice>.stride / 4
        let count = offset + choices.count * each + masks.reduce(0, +)
        let address = try reserve(count).deviceAddress
        var values = [UInt32](repeating: 0, count: count - offset)
        var place = choices.count * each
        values.withUnsafeMutableBytes { bytes in
            for (index, choice) in choices.enumerated() {
                var raw = Self.raw(choice)
                if masks[index] > 0 {
                    raw.seen = address + UInt64(4 * (offset + place))
                    for token in choice?.seen ?? [] where (0..<vocabulary).contains(token) {
                        let at = 4 * (place + token / 32)
                        let bits = bytes.load(fromByteOffset: at, as: UInt32.self)
                        bytes.storeBytes(
                            of: bits | 1 << UInt32(token % 32), toByteOffset: at, as: UInt32.self)
                    }
                    place += masks[index]
                }
                bytes.storeBytes(of: raw, toByteOffset: 4 * index * each, as: SampleChoice.self)
            }
        }
        let choicesAddress = address + UInt64(4 * offset)
        try values.withUnsafeBytes { try stream.copy($0, to: choicesAddress) }
        try kernels.sample(
            SampleArguments(
                logits: logits.deviceAddress, choices: choicesAddress, tokens: address,
                vocabulary: Int32(vocabulary), unused: 0), sequences: choices.count, on: stream)
        var tokens = [Int32](repeating: 0, count: choices.count)
        try tokens.withUnsafeMutableBytes { try stream.copy(from: address, to: $0) }
        return tokens
    }

    /// What the kernel is told of a choice, without what was seen.
    static func raw(_ choice: TokenChoice?) -> SampleChoice {
        var raw = SampleChoice()
        raw.penalty = 1
        guard let choice else { return raw }
        let options = choice.options
        raw.penalty = Float(options.repetitionPenalty)
        guard !choice.isGreedy else { return raw }
        raw.uniform = choice.uniform
        raw.topP = options.topP
        raw.inverseTemperature = Float(
            min(1 / options.temperature, Double(Float.greatestFiniteMagnitude)))
        raw.farthest = options.minP > 0 ? Float(-log(options.minP)) : .infinity
        raw.topK = Int32(clamping: options.topK ?? 0)
        return raw
    }

    private func reserve(_ count: Int) throws -> Tensor {
        if let memory, memory.count >= count { return memory }
        let made = try Tensor.zeros([max(4_096, 2 * count)], .int32, on: device)
        memory = made
        return made
    }
}
