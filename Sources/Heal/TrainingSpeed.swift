import Artifacts
import Foundation
import Tensors

/// What share of a GPU's peak a training used.
enum TrainingSpeed {
    /// Floating-point operations of forward and backward pass by the counting of Chowdhery et al. 2022
    /// (PaLM, appendix B): 6 for every weight that multiplies a token, and 12 · layers · width · window
    /// for the products of attention; what is run twice and the teacher do not count.
    static func operationsPerToken(_ configuration: ModelConfiguration, window: Int) -> Double {
        let linear = configuration.linearModules.reduce(0) { $0 + $1.rows * $1.columns }
        let head = configuration.vocabularySize * configuration.hiddenSize
        let attention = 12 * configuration.layerCount * configuration.queryWidth * window
        return Double(6 * (linear + head) + attention)
    }

    /// Dense bfloat16 peak of the GPU that stands in the machine, operations per second, by its name.
    static func peak(of device: Device) -> Double? {
        guard case .cuda = device else { return nil }
        let folder = "/proc/driver/nvidia/gpus"
        guard let gpu = FileManager.default.enumerator(atPath: folder)?.nextObject() as? String,
            let text = FileManager.default.contents(atPath: "\(folder)/\(gpu)/information")
        else { return nil }
        let name = String(decoding: text, as: UTF8.self)
        // H100 SXM and H200, NVIDIA's data sheets.
        return ["H100", "H200"].contains { name.contains($0) } ? 989e12 : nil
    }
}
