// Another model takes over while requests come and go. Where there is memory for both, the new one is loaded beside the one
// that answers, which then finishes what it began. Where there is not, new requests wait, the old model finishes and is
// released, and the new one is loaded. No request is dropped, and none changes its model in the middle.
import Dispatch
import Foundation
import Synchronization

/// Makes the engines of the models.
package protocol EngineLoader: AnyObject, Sendable {
    /// Whether both models have memory at once.
    var hasRoomForBoth: Bool { get }

    /// Called on a thread of its own; may take minutes.
    func load(_ choice: ModelChoice) throws -> HandedEngine
}

/// An engine on its way from the thread that made it to the one that it belongs to from then on.
package struct HandedEngine: @unchecked Sendable {
    let engine: any TokenEngine

    package init(_ engine: any TokenEngine) { self.engine = engine }
}

package final class ExchangingEngine: TokenEngine {
    /// An engine with the requests that it has, by its numbers.
    private final class Member {
        let engine: any TokenEngine
        var numbers: [Int: Int] = [:]

        init(_ engine: any TokenEngine) { self.engine = engine }
    }

    private enum Change {
        /// The old model finishes first.
        case draining
        case loading(Loading)
    }

    /// What a loading thread leaves.
    private final class Loading: Sendable {
        let choice: ModelChoice
        let result = Mutex<Result<HandedEngine, any Error>?>(nil)
        let done = DispatchSemaphore(value: 0)

        init(_ choice: ModelChoice) { self.choice = choice }
    }

    private let exchange: ModelExchange
    private let loader: any EngineLoader
    /// Takes new requests; `nil` while none can.
    private var current: Member?
    /// Finish what they began.
    private var retiring: [Member] = []
    private var change: Change?
    /// Why the model that is loaded now, back to where things were, is not the one that was asked for.
    private var fault: String?
    private var waiting: [(number: Int, request: EngineRequest)] = []
    private var last = 0
    /// Of engines that are gone.
    private var past = EngineLoad()

    /// - Parameter first: of the exchange's active model.
    package init(_ first: HandedEngine, _ exchange: ModelExchange, _ loader: any EngineLoader) {
        (current, self.exchange, self.loader) = (Member(first.engine), exchange, loader)
    }

    private var members: [Member] { retiring + [current].compactMap { $0 } }

    package var isIdle: Bool {
        waiting.isEmpty && change == nil && exchange.now.target == nil
            && members.allSatisfy(\.engine.isIdle)
    }

    /// Whether a model is being loaded, on a thread of its own.
    package var isLoading: Bool {
        if case .loading = change { true } else { false }
    }

    package var load: EngineLoad {
        var load = past
        load.blocks = 0
        load.waiting = waiting.count
        for member in members {
            let own = member.engine.load
            load.running += own.running
            load.waiting += own.waiting
            load.blocks += own.blocks
            load.blocksInUse += own.blocksInUse
            load.stepTokens += own.stepTokens
            load.addCounts(of: own)
        }
        load.blocks = max(1, load.blocks)
        return load
    }

    package func submit(_ request: EngineRequest) throws -> Int {
        guard let current, !isDraining else {
            last += 1
            waiting.append((last, request))
            return last
        }
        let own = try current.engine.submit(request)
        last += 1
        current.numbers[own] = last
        return last
    }

    private var isDraining: Bool {
        if case .draining = change { true } else { false }
    }

    package func cancel(_ id: Int) {
        waiting.removeAll { $0.number == id }
        for member in members {
            guard let own = member.numbers.first(where: { $0.value == id })?.key else { continue }
            member.engine.cancel(own)
            member.numbers[own] = nil
        }
    }

    package func step() -> [EngineEvent] {
        var events = proceed()
        var hasStepped = false
        for member in members where !member.engine.isIdle {
            hasStepped = true
            events += member.engine.step().compactMap { event in
                guard let number = member.numbers[event.request] else { return nil }
                if event.isLast { member.numbers[event.request] = nil }
                return event.renumbered(number)
            }
        }
        retiring.removeAll { member in
            guard member.engine.isIdle else { return false }
            past.addCounts(of: member.engine.load)
            return true
        }
        if !hasStepped, case .loading(let loading) = change {
            // Nothing to compute: wait, but look after those who leave meanwhile.
            _ = loading.done.wait(timeout: .now() + 0.01)
        }
        return events
    }

    /// Brings a change as far as it goes now.
    private func proceed() -> [EngineEvent] {
        if change == nil, let target = exchange.now.target {
            change = loader.hasRoomForBoth ? .loading(begin(target)) : .draining
        }
        if isDraining, let target = exchange.now.target, retiring.isEmpty,
            current?.engine.isIdle != false
        {
            if let current { past.addCounts(of: current.engine.load) }
            // Its memory is what the next one needs.
            current = nil
            change = .loading(begin(target))
        }
        guard case .loading(let loading) = change,
            let result = loading.result.withLock({ $0 })
        else { return [] }
        change = nil
        switch result {
        case .success(let made):
            if let current { retiring.append(current) }
            current = Member(made.engine)
            if let fault {
                self.fault = nil
                exchange.fail(fault)
            } else {
                exchange.complete()
            }
        case .failure(let error):
            if current == nil, fault == nil {
                // The model that answered is gone too; it comes back.
                fault = "\(error)"
                change = .loading(begin(exchange.now.active))
                return []
            }
            exchange.fail(fault.map { "\($0); nor the other: \(error)" } ?? "\(error)")
            fault = nil
        }
        return admitWaiting()
    }

    private func begin(_ choice: ModelChoice) -> Loading {
        let (loading, loader) = (Loading(choice), loader)
        let thread = Thread {
            let result = Result { try loader.load(choice) }
            loading.result.withLock { $0 = result }
            loading.done.signal()
        }
        // libtorch's calls want more than a thread's usual half megabyte.
        thread.stackSize = 8 << 20
        thread.start()
        return loading
    }

    /// - Returns: failures of those that no model takes.
    private func admitWaiting() -> [EngineEvent] {
        let requests = waiting
        waiting = []
        return requests.compactMap { number, request in
            guard let current else { return .failed(number, "no model could be loaded") }
            do {
                current.numbers[try current.engine.submit(request)] = number
                return nil
            } catch {
                return .failed(number, "\(error)")
            }
        }
    }
}

extension EngineLoad {
    /// What is counted from the beginning on.
    fileprivate mutating func addCounts(of other: EngineLoad) {
        preemptions += other.preemptions
        prefixQueries += other.prefixQueries
        prefixHits += other.prefixHits
        drafts += other.drafts
        draftedTokens += other.draftedTokens
        acceptedTokens += other.acceptedTokens
        for (position, count) in other.acceptedByPosition.enumerated() {
            if position == acceptedByPosition.count { acceptedByPosition.append(0) }
            acceptedByPosition[position] += count
        }
    }
}

extension EngineEvent {
    fileprivate var isLast: Bool {
        switch self {
        case .finished, .failed: true
        case .started, .text, .likelihood: false
        }
    }

    fileprivate func renumbered(_ number: Int) -> EngineEvent {
        switch self {
        case .started: .started(number)
        case .text(_, let text, let tokens): .text(number, text, tokens: tokens)
        case .likelihood(_, let likelihood): .likelihood(number, likelihood)
        case .finished(_, let reason, let tokens): .finished(number, reason, tokens: tokens)
        case .failed(_, let message): .failed(number, message)
        }
    }
}
