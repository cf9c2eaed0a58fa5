import ArgumentParser
import Artifacts
import Evaluate
import Foundation
import Logging
import Models
import Serve
import Synchronization
import Tensors
import Text

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve a model, dense or compressed, through OpenAI's interface.",
        discussion: """
            Completions, chats and responses, streamed or whole, for any number of clients at once; \
            /openapi.json describes it all, /metrics is for Prometheus, /health for whoever restarts \
            servers. The first SIGTERM lets running requests finish and nobody in, the second ends at once.

            With --config and --dummy it serves random weights of any shape, for measuring; prompts may be \
            arrays of token ids, and `ignore_eos` keeps answers at their length.

              minima serve Models/tiny
              minima serve MODEL --host 0.0.0.0 --api-key-file keys.txt --tls-cert chain.pem --tls-key key.pem
              minima serve --config qwen3-32b.json --dummy --keep 0.617 --tokenizer Models/tiny
              curl localhost:8000/v1/completions -H 'Content-Type: application/json' -d '{"prompt": "The history of", "max_tokens": 40}'
            """)

    @OptionGroup var source: BenchModelOptions

    @Option(
        help: "Folder of the tokenizer and its chat template. Default: the model's, or --config's.",
        completion: .directory)
    var tokenizer: String?

    @Option(help: "Name that clients call the model by. Default: its folder's or --config's.")
    var name: String?

    @Option(help: "Address to listen at.")
    var host = "127.0.0.1"

    @Option(help: "Port to listen at; 0 takes a free one.")
    var port = 8000

    @Option(help: "File of keys, one per line, that let clients in. Default: no key is needed.")
    var apiKeyFile: String?

    @Option(help: "Certificates for TLS, PEM.", completion: .file())
    var tlsCert: String?

    @Option(help: "Key of the certificate, PEM.", completion: .file())
    var tlsKey: String?

    @Option(help: "Answers that are computed at once.")
    var maxConcurrency = 64

    @Option(help: "Answers that wait; more are refused with status 429.")
    var maxQueue = 256

    @Option(help: "Seconds that a request may take.")
    var timeout = 600

    @Option(help: "Seconds that a step may take before /health says that the engine is broken.")
    var stepTimeout = 60

    @Option(help: "Bytes of a request's body at most.")
    var maxBody = 4 << 20

    @Option(help: "Open connections at most; others wait to be accepted.")
    var maxConnections = 1_024

    @Option(
        help:
            "Tokens that keys and values are cached of, all requests together. Default: what --gpu-memory leaves room for."
    )
    var cacheTokens: Int?

    @Option(help: "Tokens of a prompt and its answer at most. Default: the model's context.")
    var maxContext: Int?

    @Option(
        help:
            "Share of the free memory that weights and caches may take. Default: 0.9 on a GPU, 0.25 on a CPU."
    )
    var gpuMemory: Double?

    @OptionGroup var spill: SpillOptions

    @Option(
        help:
            "Dense model that answers instead when POST /admin/model says so. Needs --api-key-file.",
        completion: .directory)
    var fallbackDense: String?

    @Option(
        help:
            "Dense model that a sample of answers is compared with, for /metrics. It is kept in memory; on a GPU a comparison takes time from answers.",
        completion: .directory)
    var shadow: String?

    @Option(help: "Share of the answers that --shadow compares. Default: 0.05.")
    var shadowFraction: Double?

    @OptionGroup var speculation: SpeculationOptions

    @OptionGroup var output: OutputOptions

    func validate() throws {
        try source.require()
        for (name, value, range) in [
            ("port", port, 0...65_535), ("max-concurrency", maxConcurrency, 1...4_096),
            ("max-queue", maxQueue, 0...1 << 20), ("timeout", timeout, 1...86_400),
            ("step-timeout", stepTimeout, 1...86_400), ("max-body", maxBody, 1_024...1 << 30),
            ("max-connections", maxConnections, 1...65_536),
            ("cache-tokens", cacheTokens ?? 64, 64...1 << 30),
            ("max-context", maxContext ?? 2, 2...1 << 30),
        ] where !range.contains(value) {
            throw ValidationError(
                "--\(name) must be from \(range.lowerBound) to \(range.upperBound)")
        }
        guard (tlsCert == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-cert and --tls-key go together")
        }
        if fallbackDense != nil, apiKeyFile == nil {
            throw ValidationError(
                "--fallback-dense needs --api-key-file: otherwise anybody could change the model")
        }
        if let shadowFraction {
            guard shadow != nil, shadowFraction > 0, shadowFraction <= 1 else {
                throw ValidationError(
                    "--shadow-fraction must be above 0 and at most 1, and needs --shadow")
            }
        }
        if source.dummy, fallbackDense != nil || shadow != nil {
            throw ValidationError("--fallback-dense and --shadow are for a model, not for --dummy")
        }
        if let gpuMemory, !(gpuMemory > 0 && gpuMemory <= 1) {
            throw ValidationError("--gpu-memory must be above 0 and at most 1")
        }
    }

    func run() throws {
        // What costs nothing to find out comes before what takes minutes.
        let keys = try apiKeyFile.map { try APIKeys(file: $0) }
        let device = try source.resolvedDevice()
        let configuration = try source.configuration()
        let words = try ServedTokenizer(folder: tokenizer, source, configuration, note: note)
        let template = try ServedTemplate(folder: words.folder)
        let shadow = try shadowModel(configuration, words.tokenizer, on: device)
        let models = try ServedModels(
            try maker(on: device), try source.source(configuration, source.elementType(on: device)),
            configuration, words.tokenizer, fallback: fallbackDense, shadow: shadow, note: noted)
        var served = ServedModel(
            name: name ?? modelName, tokenizer: words.tokenizer,
            contextLength: min(models.contextLength, maxContext ?? .max),
            vocabularySize: configuration.vocabularySize, cacheTokens: models.cacheTokens,
            beginToken: configuration.beginToken ?? configuration.endTokens.first,
            created: Int(Date().timeIntervalSince1970))
        if let template { served.render = { try template.render($0) } }
        let formats = ServedFormats(words.tokenizer)
        served.constrain = { try formats.constraint(for: $0) }
        served.constrainCall = { try formats.constraint(forCall: $0, $1) }
        served.toolCallMarks = template?.toolCallMarks
        let exchange = fallbackDense.map { _ in ModelExchange() }
        let engine = ExchangingEngine(
            try models.load(.compressed), exchange ?? ModelExchange(), models)
        let server = try Server(
            served, options(keys), exchange: exchange, shadow: shadow?.shadow, page: Page.html,
            logger: logger, onRunning: announce(served.name))
        Interruption.onRequest { Task { await server.drain() } }
        let fault = Mutex<(any Error)?>(nil)
        Task.detached {
            do { try await server.run() } catch { fault.withLock { $0 = error } }
            server.engine.stop()
        }
        shadow?.start()
        withoutGradients { server.engine.run(engine) }
        shadow?.stop()
        // An orderly end would take libtorch apart under the thread that loads a model.
        if engine.isLoading { _exit(fault.withLock { $0 } == nil ? 0 : 1) }
        if let fault = fault.withLock({ $0 }) { throw fault }
    }

    /// - Throws: where the memory that is free is not known.
    private func maker(on device: Device) throws -> EngineMaker {
        let free = Double(try BenchmarkMemory.available(on: device))
        return EngineMaker(
            device: device, type: source.elementType(on: device), cache: source.kv?.elementType,
            cacheTokens: cacheTokens,
            room: Int(free * (gpuMemory ?? (device == .cpu ? 0.25 : 0.9))),
            concurrency: maxConcurrency, speculation: speculation, spill: spill.bytes)
    }

    /// What `--shadow` asks for; loaded first, so that what is free is counted without it.
    private func shadowModel(
        _ configuration: ModelConfiguration, _ tokenizer: Tokenizer, on device: Device
    ) throws -> ShadowModel? {
        guard let shadow else { return nil }
        let dense = try DenseModel(shadow, beside: configuration, tokenizer)
        let type = source.elementType(on: device)
        let need = try BenchmarkMemory(
            .checkpoint(dense.checkpoint), dense.configuration, as: type, on: device,
            for: .init(
                sequences: 0, tokens: 1, stepTokens: ShadowModel.longest, predictions: 512))
        try need.require(BenchmarkMemory.available(on: device), on: device)
        return ShadowModel(
            try CausalLanguageModel(dense.checkpoint, dense.configuration, as: type, on: device),
            fraction: shadowFraction ?? 0.05)
    }

    private var modelName: String {
        if let config = source.config {
            return URL(fileURLWithPath: config).deletingPathExtension().lastPathComponent
        }
        return URL(fileURLWithPath: source.model ?? "").standardizedFileURL.lastPathComponent
    }

    private func note(_ text: String) { noted(text) }

    private var noted: @Sendable (String) -> Void {
        let isQuiet = output.quiet
        return { text in if !isQuiet { StandardError.note(text) } }
    }

    private func options(_ keys: APIKeys?) -> ServerOptions {
        var options = ServerOptions()
        (options.host, options.port) = (host, port)
        (options.concurrency, options.queue) = (maxConcurrency, maxQueue)
        (options.timeout, options.stepTimeout) = (timeout, stepTimeout)
        (options.bodyLimit, options.connections) = (maxBody, maxConnections)
        options.keys = keys
        if let tlsCert, let tlsKey {
            options.certificate = .init(chain: tlsCert, key: tlsKey)
        }
        return options
    }

    private var logger: Logger {
        let isQuiet = output.quiet
        return Logger(label: "minima") { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = isQuiet ? .warning : .info
            return handler
        }
    }

    /// Says where the server is, once clients can connect.
    private func announce(_ name: String) -> @Sendable (Int) -> Void {
        let scheme = tlsCert == nil ? "http" : "https"
        let (host, isJSON) = (host.contains(":") ? "[\(host)]" : host, output.json)
        return { port in
            let url = "\(scheme)://\(host):\(port)"
            let line = isJSON ? "{\"url\":\"\(url)\"}" : "serving \(name) at \(url)"
            FileHandle.standardOutput.write(Data((line + "\n").utf8))
        }
    }
}
