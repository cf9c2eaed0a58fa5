// Requests of a load test: how long each is, and when it comes. The same arguments give the same requests.
import Foundation
import Tensors

package struct Arrivals: Sendable, Equatable {
    package struct Request: Sendable, Equatable {
        /// Seconds behind the first one; 0 in a closed loop.
        package let time: Double
        package let promptTokens: Int
        package let outputTokens: Int
    }

    package enum Pace: Sendable, Equatable {
        /// So many at once: a new one comes as soon as another ends.
        case closed(Int)
        /// So many per second, independent of one another and of what the server does.
        case poisson(Double)
        case trace
    }

    package let pace: Pace
    /// In the order of their times.
    package let requests: [Request]

    /// All of one length.
    package init(closed concurrency: Int, count: Int, promptTokens: Int, outputTokens: Int) {
        pace = .closed(min(concurrency, count))
        requests = Array(
            repeating: Request(time: 0, promptTokens: promptTokens, outputTokens: outputTokens),
            count: count)
    }

    /// - Parameter rate: requests per second, above 0.
    package init(rate: Double, count: Int, promptTokens: Int, outputTokens: Int, seed: UInt64) {
        pace = .poisson(rate)
        var (random, time) = (RandomSource(seed: seed), 0.0)
        requests = (0..<count).map { index in
            if index > 0 { time -= log(1 - random.unit()) / rate }
            return Request(time: time, promptTokens: promptTokens, outputTokens: outputTokens)
        }
    }

    /// Reads a trace: comma-separated, with the columns TIMESTAMP (as in 2023-11-16 18:17:03.9799600), ContextTokens and
    /// GeneratedTokens, as Azure publishes them.
    /// - Parameters:
    ///   - limit: requests at most, from the first one on.
    ///   - speed: how many times as fast as it was recorded.
    ///   - promptTokens: what longer prompts are cut to; `nil` keeps them.
    ///   - outputTokens: the same for answers.
    package init(
        trace file: String, limit: Int?, speed: Double, promptTokens: Int? = nil,
        outputTokens: Int? = nil
    ) throws(ArrivalsError) {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw .unreadable(file)
        }
        let lines = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline)
        let names = (lines.first ?? "").split(separator: ",").map(String.init)
        guard let time = names.firstIndex(of: "TIMESTAMP"),
            let context = names.firstIndex(of: "ContextTokens"),
            let generated = names.firstIndex(of: "GeneratedTokens")
        else { throw .columns(file) }
        var found: [(Double, Int, Int)] = []
        for (index, line) in lines.dropFirst().prefix(limit ?? .max).enumerated() {
            let cells = line.split(separator: ",", omittingEmptySubsequences: false)
            guard cells.count == names.count, let seconds = Self.seconds(cells[time]),
                let prompt = Int(cells[context]), let answer = Int(cells[generated]), prompt >= 0,
                answer >= 0
            else { throw .line(file, number: index + 2) }
            found.append((seconds, prompt, answer))
        }
        guard let first = found.map(\.0).min() else { throw .empty(file) }
        pace = .trace
        requests = found.sorted { $0.0 < $1.0 }.map { seconds, prompt, answer in
            Request(
                time: (seconds - first) / speed,
                promptTokens: max(1, min(prompt, promptTokens ?? .max)),
                outputTokens: max(1, min(answer, outputTokens ?? .max)))
        }
    }

    package var mostPromptTokens: Int { requests.map(\.promptTokens).max() ?? 0 }
    package var mostOutputTokens: Int { requests.map(\.outputTokens).max() ?? 0 }
    /// Prompt and answer of the longest request.
    package var mostTokens: Int { requests.map { $0.promptTokens + $0.outputTokens }.max() ?? 0 }
    var meanPromptTokens: Double { Self.mean(requests.map(\.promptTokens)) }
    var meanOutputTokens: Double { Self.mean(requests.map(\.outputTokens)) }

    private static func mean(_ values: [Int]) -> Double {
        Double(values.reduce(0, +)) / Double(max(1, values.count))
    }

    /// Seconds of a time as in "2023-11-16 18:17:03.9799600", from some beginning.
    private static func seconds(_ text: Substring) -> Double? {
        let parts = text.split { $0 == " " || $0 == "T" }
        guard parts.count == 2 else { return nil }
        let date = parts[0].split(separator: "-").compactMap { Int($0) }
        let clock = parts[1].split(separator: ":")
        guard date.count == 3, clock.count == 3, let hour = Int(clock[0]),
            let minute = Int(clock[1]),
            let second = Double(clock[2].prefix { $0 != "+" && $0 != "Z" }),
            let day = day(date[0], date[1], date[2])
        else { return nil }
        return Double((day * 24 + hour) * 60 + minute) * 60 + second
    }

    /// Number of a day of the Gregorian calendar.
    private static func day(_ year: Int, _ month: Int, _ day: Int) -> Int? {
        guard (1...9_999).contains(year), (1...12).contains(month), (1...31).contains(day) else {
            return nil
        }
        // Years begin in March, so that the leap day is the last one.
        let (year, month) = month > 2 ? (year, month - 3) : (year - 1, month + 9)
        return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day
    }
}

package enum ArrivalsError: Error, Equatable, CustomStringConvertible {
    case unreadable(String)
    case columns(String)
    case line(String, number: Int)
    case empty(String)

    package var description: String {
        switch self {
        case .unreadable(let file): "\(file): cannot be read"
        case .columns(let file):
            "\(file): the first line must name the columns TIMESTAMP, ContextTokens and GeneratedTokens"
        case .line(let file, let number):
            "\(file): line \(number) has no time and two numbers of tokens"
        case .empty(let file): "\(file): holds no request"
        }
    }
}
