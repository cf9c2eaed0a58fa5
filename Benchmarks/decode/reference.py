"""Decode steps of transformers' generate on a CPU: what `minima bench decode` is compared with.

    python reference.py MODEL [--dtype float32] [--batch 1] [--context 128] [--tokens 64] [--threads N]

Greedy, with its key-value cache; a step is the time of TOKENS + 1 new tokens less that of one, over TOKENS: what the prompt
takes is not in it. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
import transformers
from transformers import AutoModelForCausalLM


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype)).eval()
    ids = torch.randint(10, model.config.vocab_size, (args.batch, args.context))

    def seconds(tokens: int) -> float:
        begin = time.perf_counter()
        with torch.no_grad():
            model.generate(ids, attention_mask=torch.ones_like(ids), min_new_tokens=tokens, max_new_tokens=tokens,
                           do_sample=False, pad_token_id=0)
        return time.perf_counter() - begin

    seconds(4)
    step = min((seconds(args.tokens + 1) - seconds(1)) / args.tokens for _ in range(3))
    print(json.dumps({"step_ms": 1e3 * step, "tokens_per_second": args.batch / step, "batch": args.batch,
                      "context": args.context, "dtype": args.dtype, "transformers": transformers.__version__,
                      "torch": torch.__version__, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
