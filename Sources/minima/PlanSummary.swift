import Analyze
import Artifacts
import Foundation
import TensorNetworks

/// What `minima plan` shows.
struct PlanSummary: Encodable {
    struct Matrix: Encodable {
        let name: String
        let rows: Int
        let columns: Int
        let format: Format
        let parameters: Int
        let bytes: Int
        let predictedKL: Double
        /// In a decode step, where times are known.
        let seconds: Double?

        private enum CodingKeys: String, CodingKey {
            case name, rows, columns, format, parameters, bytes, seconds
            case predictedKL = "predicted_kl"
        }
    }

    let source: String
    let output: String
    let matrices: [Matrix]
    let linearParametersBefore: Int
    let linearParametersAfter: Int
    let linearBytesBefore: Int
    let linearBytesAfter: Int
    /// Everything else, where the model is known.
    let otherBytes: Int?
    let keyValueBytes: Int?
    let workingBytes: Int?
    let budgetUnit: String
    /// What the linear layers were allowed, in that unit.
    let budget: Int
    let predictedKL: Double
    let lowerBound: Double
    let isOptimal: Bool
    let decode: Decode?

    /// A predicted decode step.
    struct Decode: Encodable {
        let context: Int
        let concurrency: Int
        let stepSeconds: Double
        /// Outside of the linear layers.
        let otherSeconds: Double
        /// With no matrix compressed.
        let denseStepSeconds: Double
        /// Of each sequence.
        let tokensPerSecond: Double

        private enum CodingKeys: String, CodingKey {
            case context, concurrency
            case stepSeconds = "step_seconds"
            case otherSeconds = "other_seconds"
            case denseStepSeconds = "dense_step_seconds"
            case tokensPerSecond = "tokens_per_second"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case source, output, matrices, budget, decode
        case linearParametersBefore = "linear_parameters_before"
        case linearParametersAfter = "linear_parameters_after"
        case linearBytesBefore = "linear_bytes_before"
        case linearBytesAfter = "linear_bytes_after"
        case otherBytes = "other_bytes"
        case keyValueBytes = "kv_cache_bytes"
        case workingBytes = "working_bytes"
        case budgetUnit = "budget_unit"
        case predictedKL = "predicted_kl"
        case lowerBound = "lower_bound"
        case isOptimal = "optimal"
    }

    init(_ map: SensitivityMap, _ proposal: PlanProposal, _ planner: Planner, output: String) {
        source = map.source.hex
        self.output = output
        matrices = zip(map.matrices, proposal.choices).map { matrix, choice in
            Matrix(
                name: matrix.label, rows: matrix.rows, columns: matrix.columns,
                format: choice.format, parameters: choice.parameters, bytes: choice.bytes,
                predictedKL: choice.predictedKL, seconds: choice.seconds)
        }
        linearParametersBefore = map.parameterCount
        linearParametersAfter = proposal.parameterCount
        linearBytesBefore = map.matrices.reduce(0) {
            $0 + $1.rows * $1.columns * $1.elementType.byteCount
        }
        linearBytesAfter = proposal.byteCount
        otherBytes = planner.model?.otherBytes
        keyValueBytes = proposal.allowance.need?.keyValueBytes
        workingBytes = proposal.allowance.need?.workingBytes
        budgetUnit = proposal.allowance.unit.rawValue
        budget = proposal.allowance.limit
        predictedKL = proposal.predictedKL
        lowerBound = proposal.lowerBound
        isOptimal = proposal.isOptimal
        decode = planner.decode.flatMap { goal in
            proposal.stepSeconds.map { step in
                Decode(
                    context: goal.time.context, concurrency: goal.time.sequences,
                    stepSeconds: step, otherSeconds: goal.time.otherSeconds,
                    denseStepSeconds: goal.time.denseStepSeconds(of: map),
                    tokensPerSecond: 1 / step)
            }
        }
    }

    var table: String {
        let header =
            ["matrix", "format", "parameters", "of", "bytes", "predicted KL"]
            + (decode == nil ? [] : ["predicted µs"])
        let rows = matrices.map { matrix in
            [
                matrix.name, matrix.format.summary, matrix.parameters.grouped,
                (matrix.rows * matrix.columns).grouped, matrix.bytes.grouped,
                String(format: "%.6f", matrix.predictedKL),
            ] + (matrix.seconds.map { [String(format: "%.1f", 1e6 * $0)] } ?? [])
        }
        return ([header] + rows).columns(texts: 2) + "\n\n" + totals.aligned
    }

    private var totals: [(String, String)] {
        let share = Double(linearParametersAfter) / Double(linearParametersBefore)
        var rows = [
            (
                "linear layers",
                "\(linearParametersAfter.grouped) of \(linearParametersBefore.grouped) parameters"
                    + String(format: " (%.3f)", share)
                    + ", \(linearBytesAfter.grouped) of \(linearBytesBefore.grouped) bytes"
            ),
            ("allowed", "\(budget.grouped) \(budgetUnit) in linear layers"),
        ]
        if let otherBytes {
            let all = otherBytes + linearBytesAfter
            rows.append(("checkpoint", "\(all.grouped) bytes, \(otherBytes.grouped) elsewhere"))
            if let keyValueBytes, let workingBytes {
                rows.append(
                    (
                        "GPU memory",
                        "\((all + keyValueBytes + workingBytes).grouped) bytes, \(keyValueBytes.grouped) of them keys and values, \(workingBytes.grouped) working space"
                    ))
            }
        }
        rows.append(("predicted KL", String(format: "%.6f nats per token", predictedKL)))
        rows.append(
            (
                "lower bound",
                String(format: "%.6f, gap %.2g", lowerBound, predictedKL - lowerBound)
                    + (isOptimal ? "; no plan within the budget is better" : "")
            ))
        if let decode {
            rows.append(
                (
                    "decode step",
                    String(
                        format: "%.3f ms, %.1f tokens per second and sequence; dense %.3f ms",
                        1_000 * decode.stepSeconds, decode.tokensPerSecond,
                        1_000 * decode.denseStepSeconds)
                        + " (\(decode.concurrency) × \(decode.context.grouped) tokens, "
                        + String(
                            format: "%.3f ms outside of linear layers)",
                            1_000 * decode.otherSeconds)
                ))
        }
        rows.append(("written", output))
        return rows
    }
}
