/// What the server answers, by path. The path is compared as it stands in the request, and with nothing else: neither the
/// header `Host` nor an encoding has a say in what a client may reach.
enum Route: String, CaseIterable {
    case page = "/"
    case models = "/v1/models"
    case completions = "/v1/completions"
    case chat = "/v1/chat/completions"
    case responses = "/v1/responses"
    case tokenize = "/tokenize"
    case detokenize = "/detokenize"
    case health = "/health"
    case metrics = "/metrics"
    case openAPI = "/openapi.json"
    case modelChange = "/admin/model"

    var takesBody: Bool {
        switch self {
        case .completions, .chat, .responses, .tokenize, .detokenize, .modelChange: true
        case .page, .models, .health, .metrics, .openAPI: false
        }
    }

    /// Whether it makes the engine work.
    var generates: Bool {
        switch self {
        case .completions, .chat, .responses: true
        default: false
        }
    }

    var methods: String { takesBody ? "POST" : "GET, HEAD" }
}
