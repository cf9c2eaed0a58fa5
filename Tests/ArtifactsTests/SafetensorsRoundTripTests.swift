import Tensors
import Testing

@testable import Artifacts

@Suite("Safetensors round trips")
struct SafetensorsRoundTripTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    @Test("every element type comes back with its bytes", arguments: ElementType.allCases)
    func everyType(_ type: ElementType) throws {
        let path = folder.file("model.safetensors")
        let bytes = (0..<6 * type.byteCount).map { UInt8($0 % 2) }
        let info = try #require(TensorInfo(name: "x", elementType: type, shape: [2, 3]))
        let writer = try SafetensorsWriter(path, declaring: [info])
        try bytes.withUnsafeBytes { try writer.write($0, to: "x") }
        try writer.finish()

        let file = try SafetensorsFile(path)
        #expect(file.info("x") == info)
        let tensor = try file.tensor(named: "x")
        #expect(tensor.elementType == type)
        #expect(tensor.shape == [2, 3])
        #expect(try tensor.withBytes { Array($0) } == bytes)
        #expect(try folder.names == ["model.safetensors"])
    }

    @Test("mixed types, empty tensors, scalars and odd names, in any order of writing")
    func mixed() throws {
        let path = folder.file("model.safetensors")
        let tensors: [(String, Tensor)] = [
            ("odd \"name\"\n\u{1F600}", try Tensor([true, false, true])),
            ("scalar", try Tensor([2.5] as [Float], shape: [])),
            ("empty", try Tensor.zeros([0, 4], .bfloat16)),
            ("wide", try Tensor([1, -2, 3] as [Double])),
            ("transposed", try Tensor.normal([3, 5], seed: 1).transposed()),
        ]
        func write(_ order: [(String, Tensor)]) throws -> [UInt8] {
            let writer = try SafetensorsWriter(
                path, declaring: order.map { TensorInfo(name: $0.0, of: $0.1) },
                metadata: ["format": "pt", "quote": "\"\\\t"])
            for (name, tensor) in order { try writer.write(tensor, named: name) }
            try writer.finish()
            return try folder.contents("model.safetensors")
        }
        let bytes = try write(tensors)
        #expect(try write(tensors.reversed()) == bytes)
        let lowByteOfLength = try #require(bytes.first)
        #expect(lowByteOfLength.isMultiple(of: 8))

        let file = try SafetensorsFile(path)
        #expect(file.metadata == ["format": "pt", "quote": "\"\\\t"])
        for (name, tensor) in tensors {
            let read = try file.tensor(named: name)
            #expect(read.shape == tensor.shape)
            #expect(try read.withBytes { Array($0) } == tensor.withBytes { Array($0) })
        }
    }

    @Test("a view outlives the file object, and released pages are read again")
    func lifetime() throws {
        let path = folder.file("model.safetensors")
        let values = try Tensor.normal([300, 300], seed: 3)
        let writer = try SafetensorsWriter(
            path, declaring: [TensorInfo(name: "w", of: values)])
        try writer.write(values, named: "w")
        try writer.finish()
        func view() throws -> Tensor {
            let file = try SafetensorsFile(path)
            let view = try file.tensor(named: "w")
            try file.release("w")
            return view
        }
        #expect(try view().elements(as: Float.self) == values.elements(as: Float.self))
    }
}
