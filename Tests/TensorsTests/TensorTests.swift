import Testing

@testable import Tensors

@Suite("Tensor")
struct TensorTests {
    @Test("knows its shape, type and place")
    func properties() throws {
        let x = try Tensor.zeros([2, 3, 5], .bfloat16)
        #expect(x.shape == [2, 3, 5])
        #expect(x.count == 30)
        #expect(x.byteCount == 60)
        #expect(x.elementType == .bfloat16)
        #expect(x.device == .cpu)
        #expect(x.isContiguous)
        #expect(try !x.transposed().isContiguous)
        #expect(try Tensor.full([], 4).scalar() == 4)
    }

    @Test("carries every element type across the boundary", arguments: ElementType.allCases)
    func elementTypes(type: ElementType) throws {
        let one = try Tensor.ones([3]).converted(to: type)
        #expect(one.elementType == type)
        #expect(one.byteCount == 3 * type.byteCount)
        #expect(try one.elements(as: Double.self) == [1, 1, 1])
    }

    @Test("views memory without copying and releases its owner with the last view")
    func viewedMemory() throws {
        final class Memory {
            let bytes = UnsafeMutablePointer<Float>.allocate(capacity: 4)
            var onRelease: () -> Void = {}
            deinit {
                bytes.deallocate()
                onRelease()
            }
        }
        nonisolated(unsafe) var released = false
        do {
            var memory: Memory? = Memory()
            memory?.onRelease = { released = true }
            let bytes = try #require(memory?.bytes)
            bytes.update(from: [1, 2, 3, 4], count: 4)
            let view = try Tensor(
                viewing: UnsafeRawPointer(bytes), shape: [2, 2], .float32,
                owner: try #require(memory))
            memory = nil
            let row = try view.selected(0, 1)
            bytes[3] = 40
            #expect(try row.elements(as: Float.self) == [3, 40])
            #expect(!released)
        }
        #expect(released)
    }

    @Test("holds operands for the length of a call, also temporaries")
    func temporaries() throws {
        let a = try Tensor.normal([64, 64], seed: 1, .float64)
        for _ in 0..<200 {
            let nested = try ((a * a) + (a * a)).matmul((a - a) + a).sum()
            let plain = try (a.squared() * 2).matmul(a).sum()
            #expect(try (nested - plain).magnitude().scalar() < 1e-9)
        }
    }

    @Test("random tensors depend on the seed alone")
    func seeds() throws {
        let a = try Tensor.normal([100], seed: 7).elements(as: Float.self)
        _ = try Tensor.uniform([10], seed: 3)
        #expect(try Tensor.normal([100], seed: 7).elements(as: Float.self) == a)
        #expect(try Tensor.normal([100], seed: 8).elements(as: Float.self) != a)
    }

    @Test("selects, gathers, pads and joins")
    func picking() throws {
        let x = try Tensor.range(to: 6, .float32).reshaped([2, 3])
        let last = try x.selecting(try Tensor([2, 0] as [Int32]), along: 1)
        #expect(try last.elements(as: Float.self) == [2, 0, 5, 3])
        #expect(
            try x.gathered(try Tensor([1, 2], shape: [2, 1]), along: 1).elements(as: Float.self)
                == [1, 5])
        #expect(try x.padded([1, 1]).shape == [3, 4])
        #expect(try x.padded([1]).elements(as: Float.self) == [0, 1, 2, 0, 3, 4, 5, 0])
        #expect(try Tensor.concatenated([x, x], along: 0).shape == [4, 3])
        #expect(try Tensor.stacked([x, x], along: 1).shape == [2, 2, 3])
        #expect(try x.narrowed(1, 1..<3).elements(as: Float.self) == [1, 2, 4, 5])
        #expect(
            try x.repeatingEach(2, along: 0).elements(as: Float.self) == [
                0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5,
            ])
        let (values, indices) = try x.largest(2, along: 1)
        #expect(try values.elements(as: Float.self) == [2, 1, 5, 4])
        #expect(try indices.elements(as: Int.self) == [2, 1, 2, 1])
    }

    @Test("attention and cross-entropy agree with their definitions")
    func definitions() throws {
        let q = try Tensor.normal([1, 4, 5, 8], seed: 1, .float64)
        let k = try Tensor.normal([1, 2, 5, 8], seed: 2, .float64)
        let v = try Tensor.normal([1, 2, 5, 8], seed: 3, .float64)
        let fused = try q.attention(keys: k, values: v, causal: true)
        let (kk, vv) = (try k.repeatingEach(2, along: 1), try v.repeatingEach(2, along: 1))
        let hidden = try Tensor.ones([5, 5]).upperTriangle(1).converted(to: .bool)
        let scores = try (q.matmul(kk.transposed()) / 8.0.squareRoot())
            .filled(where: hidden, with: -.infinity)
        let defined = try scores.softmax().matmul(vv)
        #expect(try (fused - defined).magnitude().max().scalar() < 1e-12)

        let logits = try Tensor.normal([3, 11], seed: 4, .float64)
        let targets = try Tensor([0, 10, 4])
        let rows = try logits.crossEntropy(targets, mean: false)
        let expected = try -logits.logSoftmax().gathered(try targets.unsqueezed(1), along: 1)
            .squeezed(1)
        #expect(try (rows - expected).magnitude().max().scalar() < 1e-12)
        #expect(try (rows.mean() - logits.crossEntropy(targets)).magnitude().scalar() < 1e-12)
    }
}
