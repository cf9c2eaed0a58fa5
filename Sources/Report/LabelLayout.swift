/// Places for labels beside points of an axis, so that no two overlap.
enum LabelLayout {
    /// - Parameters:
    ///   - wanted: where each label would like to be.
    ///   - spacing: least distance of neighbours; less where they would not all fit.
    /// - Returns: a place for each, in the order of `wanted`, as near to it as the others allow.
    static func places(
        _ wanted: [Double], spacing: Double, within bounds: ClosedRange<Double>
    ) -> [Double] {
        guard !wanted.isEmpty else { return [] }
        let length = bounds.upperBound - bounds.lowerBound
        let spacing =
            wanted.count > 1 ? min(spacing, length / Double(wanted.count - 1)) : spacing
        let order = wanted.indices.sorted { (wanted[$0], $0) < (wanted[$1], $1) }
        // Each group's labels stand `spacing` apart, centred where they would like to be on average;
        // groups that overlap become one.
        var groups: [Group] = []
        for index in order {
            groups.append(Group(members: [index], center: wanted[index], bounds, spacing))
            while groups.count > 1,
                groups[groups.count - 2].end(spacing) + spacing > groups[groups.count - 1].start
            {
                let last = groups.removeLast()
                let before = groups.removeLast()
                let members = before.members + last.members
                let mean = members.reduce(0) { $0 + wanted[$1] } / Double(members.count)
                groups.append(Group(members: members, center: mean, bounds, spacing))
            }
        }
        var places = wanted
        for group in groups {
            for (place, index) in group.members.enumerated() {
                places[index] = group.start + Double(place) * spacing
            }
        }
        return places
    }

    private struct Group {
        let members: [Int]
        let start: Double

        init(
            members: [Int], center: Double, _ bounds: ClosedRange<Double>, _ spacing: Double
        ) {
            self.members = members
            let height = Double(members.count - 1) * spacing
            start = max(bounds.lowerBound, min(center - height / 2, bounds.upperBound - height))
        }

        func end(_ spacing: Double) -> Double { start + Double(members.count - 1) * spacing }
    }
}
