/// What `minima evaluate --tasks` measures; one JSON object with snake-case keys.
package struct TaskReport: Codable, Sendable {
    package struct Task: Codable, Sendable {
        /// All documents together.
        package let score: TaskScore
        /// Fields of subjects, and subjects; empty for a task without.
        package let groups: [TaskScore]
        package let subjects: [TaskScore]
        package let file: String
        /// Few-shot examples before each question.
        package let shots: Int
        package let seconds: Double

        private enum CodingKeys: String, CodingKey { case groups, subjects, file, shots, seconds }

        package init(
            score: TaskScore, groups: [TaskScore], subjects: [TaskScore], file: String,
            shots: Int, seconds: Double
        ) {
            (self.score, self.groups, self.subjects) = (score, groups, subjects)
            (self.file, self.shots, self.seconds) = (file, shots, seconds)
        }

        package init(from decoder: any Decoder) throws {
            score = try TaskScore(from: decoder)
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            groups = try fields.decode([TaskScore].self, forKey: .groups)
            subjects = try fields.decode([TaskScore].self, forKey: .subjects)
            file = try fields.decode(String.self, forKey: .file)
            shots = try fields.decode(Int.self, forKey: .shots)
            seconds = try fields.decode(Double.self, forKey: .seconds)
        }

        package func encode(to encoder: any Encoder) throws {
            try score.encode(to: encoder)
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encode(groups, forKey: .groups)
            try fields.encode(subjects, forKey: .subjects)
            try fields.encode(file, forKey: .file)
            try fields.encode(shots, forKey: .shots)
            try fields.encode(seconds, forKey: .seconds)
        }
    }

    package let model: String
    package let reference: String?
    package let device: String
    package let elementType: String
    package let threads: Int
    package let peakMemoryBytes: Int
    package let tasks: [Task]

    package init(
        model: String, reference: String?, device: String, elementType: String, threads: Int,
        peakMemoryBytes: Int, tasks: [Task]
    ) {
        self.model = model
        self.reference = reference
        self.device = device
        self.elementType = elementType
        self.threads = threads
        self.peakMemoryBytes = peakMemoryBytes
        self.tasks = tasks
    }

    private enum CodingKeys: String, CodingKey {
        case model, reference, device, threads, tasks
        case elementType = "dtype"
        case peakMemoryBytes = "peak_memory_bytes"
    }
}
