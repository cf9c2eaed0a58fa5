import Testing

@testable import Tensors

@Suite("RandomSource")
struct RandomSourceTests {
    @Test("gives the published vectors of SplitMix64")
    func vectors() {
        var random = RandomSource(seed: 1_234_567)
        #expect(
            (0..<5).map { _ in random.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    @Test("unit draws are the upper 53 bits, below 1")
    func unit() {
        var (bits, random) = (RandomSource(seed: 9), RandomSource(seed: 9))
        for _ in 0..<1_000 {
            let draw = random.unit()
            #expect(draw == Double(bits.next() >> 11) / 9_007_199_254_740_992)
            #expect((0..<1).contains(draw))
        }
    }
}
