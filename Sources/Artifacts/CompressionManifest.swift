import TensorNetworks
import Tensors

/// `minima.json`: how the matrices of a compressed checkpoint are represented.
///
/// The weight of a compressed matrix is absent from the checkpoint; its patches' parts stand for it.
/// Two matrices may name the same tensor for a part, and then share it.
package struct CompressionManifest: Codable, Hashable, Sendable {
    package static let file = "minima.json"
    package static let currentVersion = 1
    static let largestFile = 64 << 20

    package let version: Int
    /// The dense checkpoint that the matrices were compressed from.
    package let source: Fingerprint
    /// What was asked for; `matrices` is what there is.
    package let plan: CompressionPlan
    package let matrices: [CompressedMatrix]

    package init(
        source: Fingerprint, plan: CompressionPlan, matrices: [CompressedMatrix]
    ) throws(ManifestError) {
        version = Self.currentVersion
        self.source = source
        self.plan = plan
        self.matrices = matrices
        try validate()
    }

    /// The matrix of a module, or `nil` where that is dense.
    package func matrix(_ name: String) -> CompressedMatrix? {
        matrices.first { $0.name == name }
    }

    /// Values that the parts of more than one matrix name are counted by each of them: these are the
    /// ones that are counted again.
    package func repeatedParameterCount() throws(ManifestError) -> Int {
        try repeatedParts().reduce(0) { $0 + ($1.part.content == .values ? $1.part.count : 0) }
    }

    /// Bytes of the same where values are held as `type`, with the scales of quantised ones, which stay as they are.
    package func repeatedByteCount(as type: ElementType) throws(ManifestError) -> Int {
        try repeatedParts().reduce(0) { sum, repeated in
            guard !repeated.part.isIndex else { return sum }
            let held = repeated.stored.isQuantized ? repeated.stored : type
            return sum + repeated.part.count * repeated.part.elementType(storing: held).byteCount
        }
    }

    /// Parts whose tensor another part before them is stored in too.
    private func repeatedParts() throws(ManifestError) -> [(
        part: Format.Part, stored: ElementType
    )] {
        var (seen, repeated): (Set<String>, [(part: Format.Part, stored: ElementType)]) = ([], [])
        for matrix in matrices {
            for patch in matrix.patches {
                for (part, tensor) in try patch.declaredParts(matrix: matrix.name)
                where !seen.insert(tensor.name).inserted {
                    repeated.append((part, patch.elementType))
                }
            }
        }
        return repeated
    }

    /// Tensors that more than one patch is stored in.
    package var sharedTensorNames: Set<String> {
        var (seen, shared): (Set<String>, Set<String>) = ([], [])
        for name in matrices.flatMap(\.patches).flatMap(\.tensors.values)
        where !seen.insert(name).inserted {
            shared.insert(name)
        }
        return shared
    }

    /// Tensors of row numbers or scales, which are no values of a matrix.
    package func auxiliaryTensorNames() throws(ManifestError) -> Set<String> {
        var names: Set<String> = []
        for matrix in matrices {
            for patch in matrix.patches {
                for (part, tensor) in try patch.declaredParts(matrix: matrix.name)
                where part.content != .values {
                    names.insert(tensor.name)
                }
            }
        }
        return names
    }

    /// The type that some matrix' values are quantised to.
    package var quantizedType: ElementType? {
        matrices.lazy.flatMap(\.patches).map(\.elementType).first(where: \.isQuantized)
    }

    /// Every tensor that some patch is stored in.
    package var tensorNames: Set<String> {
        Set(matrices.flatMap(\.patches).flatMap(\.tensors.values))
    }
}

/// One compressed matrix.
package struct CompressedMatrix: Codable, Hashable, Sendable {
    /// The module, as in `model.layers.0.self_attn.q_proj`.
    package let name: String
    package let rows: Int
    package let columns: Int
    /// Tile the matrix exactly.
    package let patches: [CompressedPatch]

    package init(name: String, rows: Int, columns: Int, patches: [CompressedPatch]) {
        self.name = name
        self.rows = rows
        self.columns = columns
        self.patches = patches
    }

    /// Names the parts of every patch of a plan in the standard way: `<module>.<part>`, and with
    /// several patches `<module>.patch.<i>.<part>`; a shared input factor has its leader's name.
    package init(_ plan: MatrixPlan) throws(ManifestError) {
        var patches: [CompressedPatch] = []
        for (index, patch) in plan.patches.enumerated() {
            let prefix = plan.patches.count == 1 ? plan.name : "\(plan.name).patch.\(index)"
            let parts = try patch.region.parts(
                of: patch.format, storing: patch.elementType, matrix: plan.name)
            var tensors = Dictionary(
                parts.map { ($0.name, "\(prefix).\($0.name)") },
                uniquingKeysWith: { first, _ in first })
            if let leader = patch.sharesInputOf {
                for part in Format.sharedParts where tensors[part] != nil {
                    tensors[part] = "\(leader).\(part)"
                }
            }
            patches.append(
                CompressedPatch(
                    patch.region, patch.format, as: patch.elementType, tensors: tensors))
        }
        self.init(name: plan.name, rows: plan.rows, columns: plan.columns, patches: patches)
    }
}

/// One patch of a compressed matrix.
package struct CompressedPatch: Codable, Hashable, Sendable {
    package let region: MatrixRegion
    package let format: Format
    /// Type of the values; row numbers are always int32, scales float32.
    package let elementType: ElementType
    /// Name in the checkpoint of each of the format's parts.
    package let tensors: [String: String]

    package init(
        _ region: MatrixRegion, _ format: Format, as elementType: ElementType,
        tensors: [String: String]
    ) {
        self.region = region
        self.format = format
        self.elementType = elementType
        self.tensors = tensors
    }

    private enum CodingKeys: String, CodingKey {
        case region, format, tensors
        case elementType = "dtype"
    }

    /// The tensors that the patch is stored in, as a file must declare them.
    package func declarations(matrix: String) throws(ManifestError) -> [TensorInfo] {
        try declaredParts(matrix: matrix).map(\.info)
    }

    /// The same with what each of them is.
    package func declaredParts(
        matrix: String
    ) throws(ManifestError) -> [(part: Format.Part, info: TensorInfo)] {
        var declarations: [(part: Format.Part, info: TensorInfo)] = []
        let parts = try region.parts(of: format, storing: elementType, matrix: matrix)
        for part in parts {
            guard let name = tensors[part.name] else {
                throw .part(part.name, matrix: matrix, problem: "has no tensor")
            }
            let type = part.elementType(storing: elementType)
            guard let info = TensorInfo(name: name, elementType: type, shape: part.shape) else {
                throw .part(part.name, matrix: matrix, problem: "has absurd shape \(part.shape)")
            }
            declarations.append((part, info))
        }
        guard declarations.count == tensors.count else {
            let known = Set(parts.map(\.name))
            let extra = tensors.keys.filter { !known.contains($0) }.sorted().first ?? ""
            throw .part(extra, matrix: matrix, problem: "is not one of its format")
        }
        return declarations
    }
}
