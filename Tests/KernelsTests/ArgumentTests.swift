import Testing

@testable import Kernels

@Suite("KernelArguments")
struct ArgumentTests {
    @Test("each argument lies at a multiple of its own alignment and keeps its value")
    func packing() {
        let arguments = KernelArguments(
            UInt8(7), UInt64(0x1234_5678_9abc_def0), Int32(-3), Float(1.5))
        #expect(arguments.sizes == [1, 8, 4, 4])
        arguments.withPointers { pointers in
            #expect(pointers[0]?.load(as: UInt8.self) == 7)
            #expect(pointers[1]?.load(as: UInt64.self) == 0x1234_5678_9abc_def0)
            #expect(pointers[2]?.load(as: Int32.self) == -3)
            #expect(pointers[3]?.load(as: Float.self) == 1.5)
            #expect(UInt(bitPattern: pointers[1]) % 8 == 0)
            #expect(pointers[4] == nil)
        }
    }

    @Test("a kernel without arguments has a list that is empty")
    func none() {
        KernelArguments().withPointers { #expect($0[0] == nil) }
    }
}
