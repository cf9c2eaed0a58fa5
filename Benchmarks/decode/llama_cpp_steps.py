"""Decode steps of llama.cpp on a CPU: what `minima bench decode` is compared with.

    python llama_cpp_steps.py MODEL.gguf [--batch 1] [--context 128] [--seconds 2] [--threads N] [--continue IDS]

Each of BATCH sequences has CONTEXT tokens; a step decodes one more of each, which is forgotten afterwards, so that all steps
see the same context. The time is the median of five rounds, as minima's is; sampling is in neither. Keys and values are
float32, as minima's on a CPU. With --continue the likeliest tokens behind these ids are printed instead: they must be those of
`minima generate`. Needs the package llama-cpp-python.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import time

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as api


class Model:
    def __init__(self, path: str, sequences: int, tokens: int, threads: int):
        api.llama_backend_init()
        quiet = api.llama_log_callback(lambda level, text, data: None)
        api.llama_log_set(quiet, None)
        self.quiet = quiet
        parameters = api.llama_model_default_params()
        self.model = api.llama_model_load_from_file(path.encode(), parameters)
        if not self.model:
            raise SystemExit(f"llama.cpp does not read {path}")
        settings = api.llama_context_default_params()
        settings.n_ctx = sequences * ((tokens + 255) // 256 * 256)
        settings.n_batch = settings.n_ubatch = 512
        settings.n_seq_max = sequences
        settings.n_threads = settings.n_threads_batch = threads
        settings.type_k = settings.type_v = 0  # GGML_TYPE_F32
        self.context = api.llama_init_from_model(self.model, settings)
        if not self.context:
            raise SystemExit("llama.cpp makes no context")
        self.memory = api.llama_get_memory(self.context)
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))
        self.batch = api.llama_batch_init(512, 0, 1)

    def fill(self, rows: list[tuple[int, int, int, bool]]) -> None:
        """Rows of (token, position, sequence, whether logits are wanted)."""
        self.batch.n_tokens = len(rows)
        for index, (token, position, sequence, wanted) in enumerate(rows):
            self.batch.token[index] = token
            self.batch.pos[index] = position
            self.batch.n_seq_id[index] = 1
            self.batch.seq_id[index][0] = sequence
            self.batch.logits[index] = wanted

    def decode(self) -> None:
        if api.llama_decode(self.context, self.batch) != 0:
            raise SystemExit("llama_decode failed")
        api.llama_synchronize(self.context)

    def read(self, ids: list[int], sequence: int) -> None:
        for start in range(0, len(ids), 512):
            piece = ids[start:start + 512]
            self.fill([(token, start + index, sequence, start + index == len(ids) - 1) for index, token in enumerate(piece)])
            self.decode()

    def likeliest(self) -> int:
        row = ctypes.cast(api.llama_get_logits_ith(self.context, -1), ctypes.POINTER(ctypes.c_float))
        return int(np.argmax(np.ctypeslib.as_array(row, (self.vocabulary,))))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--continue", dest="ids")
    args = parser.parse_args()
    model = Model(args.model, args.batch, args.context + 64, args.threads)
    if args.ids:
        ids, made = [int(token) for token in args.ids.split(",")], []
        model.read(ids, 0)
        for position in range(len(ids), len(ids) + 32):
            made.append(model.likeliest())
            model.fill([(made[-1], position, 0, True)])
            model.decode()
        print(json.dumps(made))
        return
    random = np.random.default_rng(0)
    for sequence in range(args.batch):
        model.read([int(token) for token in random.integers(10, model.vocabulary, args.context)], sequence)
    rows = [((index * 31 + 7) % model.vocabulary, args.context, index, True) for index in range(args.batch)]

    def steps(count: int) -> float:
        total = 0.0
        for _ in range(count):
            model.fill(rows)
            begin = time.perf_counter()
            model.decode()
            total += time.perf_counter() - begin
            api.llama_memory_seq_rm(model.memory, -1, args.context, -1)
        return total / count

    once = min(steps(3), steps(3))
    count = max(3, int(args.seconds / 5 / once))
    step = sorted(steps(count) for _ in range(5))[2]
    print(json.dumps({"step_ms": 1e3 * step, "tokens_per_second": args.batch / step, "batch": args.batch,
                      "context": args.context, "llama_cpp_python": llama_cpp.__version__, "threads": args.threads}))


if __name__ == "__main__":
    main()
