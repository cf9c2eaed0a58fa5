"""The endpoints that the page uses, answered by nobody: a model that says what it is given to say."""
import http.server
import json
import threading
import time

SPEECH = ("Tensor trains write a large matrix as a chain of small cores, contracted one after another. "
          "What they cannot say with few numbers, they leave out.\n\n```python\ny = x @ core[0] @ core[1]\n```\n"
          "The ranks between the cores decide how much that is: <b>not</b> markup, \u00e9\u65e5\U0001F600.\n")
THOUGHT = "<think>\nThe user asks about tensor trains.\n</think>\n\n"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, page, key=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.page, self.key = page, key
        self.lock = threading.Lock()
        self.requests, self.cut, self.running = [], 0, 0
        self.generated, self.prompts = 0, 0
        self.delay = 0.01
        self.started = time.monotonic()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, kind="application/json", status=200, headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status, message, headers=()):
        self.answer({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}},
                    status=status, headers=headers)

    def is_allowed(self):
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self.fail(401, "Incorrect API key provided.")
            return False
        return True

    def do_GET(self):
        if self.path == "/":
            policy = ("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                      "connect-src 'self'; img-src data:")
            return self.answer(self.server.page, "text/html; charset=utf-8",
                               headers=[("Content-Security-Policy", policy)])
        if self.path == "/health":
            return self.answer({"status": "ok"})
        if not self.is_allowed():
            return None
        if self.path == "/v1/models":
            return self.answer({"object": "list", "data": [{"id": "small-0.6", "object": "model"}]})
        if self.path == "/metrics":
            return self.answer(self.metrics().encode(), "text/plain; version=0.0.4")
        return self.fail(404, "There is nothing here.")

    def metrics(self):
        server = self.server
        with server.lock:
            generated, prompts, running = server.generated, server.prompts, server.running
        seconds = time.monotonic() - server.started
        # Others use the server too.
        generated += int(90 * seconds + 30 * abs(seconds % 9 - 4.5))
        label = '{model_name="small-0.6",engine="0"}'
        values = {
            "num_requests_running": running + 3, "num_requests_waiting": 2, "kv_cache_usage_perc": 0.374,
            "generation_tokens_total": generated, "prompt_tokens_total": prompts + int(400 * seconds),
            "prefix_cache_queries_total": 4000, "prefix_cache_hits_total": 1210,
            "spec_decode_num_draft_tokens_total": 900, "spec_decode_num_accepted_tokens_total": 612,
            "time_to_first_token_seconds_sum": 12.4, "time_to_first_token_seconds_count": 100,
            "inter_token_latency_seconds_sum": 24, "inter_token_latency_seconds_count": 2000}
        lines = [f"# HELP vllm:{name} x\n# TYPE vllm:{name} gauge\nvllm:{name}{label} {value}"
                 for name, value in values.items()]
        lines.append('vllm:time_to_first_token_seconds_bucket{model_name="small-0.6",le="+Inf"} 100')
        return "\n".join(lines) + "\n"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_allowed():
            return
        server = self.server
        with server.lock:
            server.requests.append((self.path, body))
        is_chat = self.path == "/v1/chat/completions"
        said = body["messages"][-1]["content"] if is_chat else body["prompt"]
        if "refuse" in said:
            return self.fail(429, "As many requests run and wait as may.", [("Retry-After", "7")])
        speech = (THOUGHT if "think" in said else "") + SPEECH
        if "forever" in said:
            speech = "on and " * 2_000
        pieces = [speech[start:start + 4] for start in range(0, len(speech), 4)][:body["max_tokens"]]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with server.lock:
            server.running += 1
            server.prompts += 20
        try:
            if is_chat:
                self.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
            for index, piece in enumerate(pieces):
                if "break" in said and index == 5:
                    self.event({"error": {"message": "The engine failed in this step.", "type": "server_error"}})
                    return
                time.sleep(server.delay)
                with server.lock:
                    server.generated += 1
                choice = {"delta": {"content": piece}} if is_chat else {"text": piece}
                self.event({"choices": [{"index": 0, **choice, "finish_reason": None}]})
            end = "length" if len(pieces) == body["max_tokens"] else "stop"
            self.event({"choices": [{"index": 0, **({"delta": {}} if is_chat else {"text": ""}), "finish_reason": end}]})
            self.event({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": len(pieces)}})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            with server.lock:
                server.cut += 1
        finally:
            with server.lock:
                server.running -= 1

    def event(self, value):
        """In two writes, so that events and characters come in parts."""
        data = f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
        middle = len(data) // 2
        self.wfile.write(data[:middle])
        self.wfile.flush()
        self.wfile.write(data[middle:])
        self.wfile.flush()
