import Tensors
import Testing

@testable import Artifacts

@Suite("NaN and infinity are found")
struct FiniteTests {
    @Test(
        "in every floating-point type, wherever they are",
        arguments: ElementType.allCases.filter(\.isFloatingPoint))
    func everyType(_ type: ElementType) throws {
        let folder = try TemporaryFolder()
        let path = folder.file("x.safetensors")
        let count = 5_000
        for position in [0, 1, 1_023, 1_024, 4_999] {
            for value in [Double.nan, .infinity, -.infinity]
            where type != .float8e4m3 || value.isNaN {
                var values = [Double](repeating: -3.5, count: count)
                values[position] = value
                let tensor = try Tensor(values).converted(to: type)
                let writer = try SafetensorsWriter(
                    path, declaring: [TensorInfo(name: "w", of: tensor)])
                try writer.write(tensor, named: "w")
                try writer.finish()
                let file = try SafetensorsFile(path)
                #expect(
                    throws: CheckpointError.notFinite(tensor: "w", element: position, file: path)
                ) { try file.requireFinite("w") }
            }
        }
    }

    @Test("and largest numbers and integers are not taken for them")
    func largest() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("x.safetensors")
        let tensors = [
            "f32": try Tensor([Float.greatestFiniteMagnitude, -.leastNonzeroMagnitude]),
            "f64": try Tensor([Double.greatestFiniteMagnitude]),
            "i64": try Tensor([-1, Int.max]),
            "e4m3": try Tensor([448.0, -448]).converted(to: .float8e4m3),
            "e5m2": try Tensor([57_344.0]).converted(to: .float8e5m2),
            "f16": try Tensor([65_504.0]).converted(to: .float16),
        ]
        let writer = try SafetensorsWriter(
            path, declaring: tensors.map { TensorInfo(name: $0.key, of: $0.value) })
        for (name, tensor) in tensors { try writer.write(tensor, named: name) }
        try writer.finish()
        let file = try SafetensorsFile(path)
        for name in tensors.keys { try file.requireFinite(name) }
    }

    @Test("across the pieces that a large tensor is read in")
    func largeTensor() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("x.safetensors")
        let count = SafetensorsFile.chunkBytes / 2 + 7
        let writer = try SafetensorsWriter(
            path,
            declaring: [
                try #require(TensorInfo(name: "w", elementType: .bfloat16, shape: [count]))
            ])
        var bytes = [UInt8](repeating: 0, count: 2 * count)
        (bytes[2 * count - 2], bytes[2 * count - 1]) = (0xC0, 0x7F)
        try bytes.withUnsafeBytes { try writer.write($0, to: "w") }
        try writer.finish()
        #expect(
            throws: CheckpointError.notFinite(tensor: "w", element: count - 1, file: path)
        ) { try SafetensorsFile(path).requireFinite("w") }
    }
}
