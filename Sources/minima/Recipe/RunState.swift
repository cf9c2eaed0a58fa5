import Artifacts
import Foundation

/// What is known of a stage before a run.
enum StageState {
    /// Made of what the recipe says, and still there.
    case kept(seconds: Double)
    case absent
    /// Begun with these very settings.
    case unfinished
    /// It was made, and is gone.
    case gone(String)
    /// Made of something else.
    case changed([String])
    /// There is a result that no run of a recipe made.
    case foreign(String)
    /// It comes after one that is made again.
    case follows(RecipeStage)

    var words: String {
        switch self {
        case .kept: "is there"
        case .absent: "to be made"
        case .unfinished: "to be continued"
        case .gone(let name): "to be made again: \(name) is gone"
        case .changed(let differences): "to be made again: \(differences.joined(separator: ", "))"
        case .foreign(let name): "to be made: \(name) is not of this run"
        case .follows(let stage): "to be made after \(stage.rawValue)"
        }
    }
}

/// Compares a recipe with what its run has made so far.
struct RunStates {
    let recipe: Recipe
    let places: RunPlaces
    let journal: RunJournal
    let fingerprints: InputFingerprints

    /// Of every stage, in order. What comes after a stage that is made again is made again too.
    func all() throws -> [(stage: RecipeStage, state: StageState)] {
        var first: RecipeStage?
        return try recipe.stages.map { stage in
            if let first { return (stage, .follows(first)) }
            let state = try state(of: stage)
            if case .kept = state { return (stage, state) }
            first = stage
            return (stage, state)
        }
    }

    /// Results, or unfinished ones, that would be lost, in the stages' order.
    func lost(_ states: [(stage: RecipeStage, state: StageState)]) -> [String] {
        states.flatMap { stage, state in
            switch state {
            case .kept, .absent, .unfinished: [String]()
            case .gone, .changed, .foreign, .follows: leftovers(of: stage)
            }
        }
    }

    func identity(of stage: RecipeStage) throws -> RunJournal.Identity {
        var inputs: [String: Fingerprint] = [:]
        for input in recipe.inputs(of: stage, in: places) {
            inputs[input.name] = try fingerprints.of(input.paths)
        }
        return RunJournal.Identity(settings: recipe.settings(of: stage), inputs: inputs)
    }

    func results(of stage: RecipeStage) throws -> [String: Fingerprint] {
        var results: [String: Fingerprint] = [:]
        for path in places.results(of: stage) {
            results[places.name(path)] = try fingerprints.of(path)
        }
        return results
    }

    /// Whether everything that a stage makes is there.
    func isComplete(_ stage: RecipeStage) -> Bool {
        places.results(of: stage).allSatisfy { FileManager.default.fileExists(atPath: $0) }
    }

    private func state(of stage: RecipeStage) throws -> StageState {
        let leftovers = leftovers(of: stage)
        guard let entry = journal[stage] else {
            return leftovers.first.map { .foreign(places.name($0)) } ?? .absent
        }
        let differences = try identity(of: stage).differences(from: entry.identity)
        guard differences.isEmpty else {
            return leftovers.isEmpty ? .absent : .changed(differences)
        }
        guard let made = entry.results else { return .unfinished }
        for path in places.results(of: stage) {
            let name = places.name(path)
            guard FileManager.default.fileExists(atPath: path) else { return .gone(name) }
            do {
                guard try fingerprints.of(path) == made[name] else {
                    return .changed(["\(name) was changed by something else"])
                }
            } catch let error as CheckpointError {
                return .changed(["\(error)"])
            }
        }
        return .kept(seconds: entry.seconds ?? 0)
    }

    /// Results of a stage, finished or not, that are there.
    private func leftovers(of stage: RecipeStage) -> [String] {
        places.results(of: stage).flatMap { [$0, RunPlaces.unfinished($0)] }
            .filter { FileManager.default.fileExists(atPath: $0) }
    }
}

enum RunError: Error, CustomStringConvertible {
    case wouldReplace(folder: String, stage: RecipeStage, state: StageState, lost: [String])
    case inUse(folder: String)

    var description: String {
        switch self {
        case .wouldReplace(let folder, let stage, let state, let lost):
            "\(folder): \(stage.rawValue) is \(state.words); that replaces \(lost.joined(separator: ", ")); pass --overwrite to replace them, or choose another --output"
        case .inUse(let folder): "\(folder): another run is at work there"
        }
    }
}
