import Kernels

extension KernelVariant {
    /// Bytes of a block of `gemm.cu`: of 227 KB less what it declares itself and what aligning takes.
    static let gemmMemory = 225_280

    /// - Parameter pairing: of the rows.
    static func gemm(_ plan: GemmPlan, pairing: DeviceLayer.Pairing) -> KernelVariant {
        let groups = plan.tileColumns == 64 ? 2 : 1
        let stage = (plan.tileColumns + groups * plan.rows) * 128
        let stages = min(16, (gemmMemory - 1_024) / stage)
        // An instruction multiplies at most 64 rows.
        let step = [64, 56, 48, 40, 32, 24, 16].first { plan.rows % $0 == 0 } ?? 8
        let name =
            switch pairing {
            case .none: "UNPAIRED"
            case .shared: "PAIRED"
            case .apart: "PAIRED_APART"
            }
        return KernelVariant(
            source: .gemm, function: "gemm",
            defines: [
                "COLUMNS": "\(plan.tileColumns)", "ROWS": "\(plan.rows)", "STEP": "\(step)",
                "STAGES": "\(stages)", "PAIRING": name,
                "BLOCKS_OF_COLUMNS": "\(plan.columnBlocks)",
            ], sharedMemory: stages * stage + 1_024)
    }
}
