import Testing

@testable import Tensors

@Suite("LearningRateSchedule")
struct LearningRateScheduleTests {
    @Test("cosine rises in a line, falls to its floor, and never rises again")
    func cosine() {
        let schedule = LearningRateSchedule(.cosine, steps: 100, warmup: 10, floor: 0.1)
        let shares = (0..<100).map { schedule.share(at: $0) }
        for step in 0..<10 { #expect(abs(shares[step] - Double(step + 1) / 10) < 1e-15) }
        #expect(shares[10] == 1)
        // Half way the cosine is at the middle of its range.
        #expect(abs(shares[55] - 0.55) < 1e-12)
        for (a, b) in zip(shares[10...], shares[11...]) { #expect(a > b) }
        #expect(shares[99] > 0.1 && shares[99] < 0.101)
    }

    @Test("warm-up, stable, decay is flat but for its ends")
    func wsd() {
        let schedule = LearningRateSchedule(.wsd, steps: 50, warmup: 5, floor: 0)
        let shares = (0..<50).map { schedule.share(at: $0) }
        #expect(shares[4..<40].allSatisfy { $0 == 1 })
        for step in 40..<50 {
            #expect(abs(shares[step] - (1 - Double(step - 39) / 10)) < 1e-12)
        }
    }

    @Test("schedules of very few steps stay between floor and largest")
    func short() {
        for shape in LearningRateSchedule.Shape.allCases {
            for steps in 1...6 {
                for warmup in 0...steps {
                    let schedule = LearningRateSchedule(
                        shape, steps: steps, warmup: warmup, floor: 0.2)
                    for step in 0..<steps {
                        let share = schedule.share(at: step)
                        #expect(share > 0 && share <= 1)
                    }
                }
            }
        }
    }
}
