"""Tokens per second of training a dense Qwen3 with PyTorch: what `minima heal` is compared with.

    python reference.py MODEL [--device cuda] [--compile] [--window 2048] [--batch-tokens 65536]
                        [--micro-batch-tokens N] [--steps 8] [--plain]

MODEL is a folder with config.json; the weights are random, which changes no speed. transformers' model where
transformers is installed, else (or with --plain) the same model in plain torch below. float32 weights, bfloat16
autocast on CUDA, scaled_dot_product_attention, fused AdamW, clipping by norm: what `minima heal --kl 0 --next-token 1
--train-embeddings` computes. Prints one JSON object; the first two steps (compilation, memory) are not timed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, c: dict) -> None:
        super().__init__()
        self.heads, self.kv, self.width = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        hidden = c["hidden_size"]
        self.q_proj = nn.Linear(hidden, self.heads * self.width, bias=False)
        self.k_proj = nn.Linear(hidden, self.kv * self.width, bias=False)
        self.v_proj = nn.Linear(hidden, self.kv * self.width, bias=False)
        self.o_proj = nn.Linear(self.heads * self.width, hidden, bias=False)
        self.q_norm, self.k_norm = (nn.RMSNorm(self.width, eps=c["rms_norm_eps"]) for _ in range(2))

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        def heads(y: torch.Tensor, count: int) -> torch.Tensor:
            return y.view(*y.shape[:2], count, self.width).transpose(1, 2)

        def rotate(y: torch.Tensor) -> torch.Tensor:
            first, second = y.chunk(2, -1)
            return y * cos + torch.cat((-second, first), -1) * sin

        q = rotate(self.q_norm(self.q_proj(x).view(*x.shape[:2], self.heads, -1)).transpose(1, 2))
        k = rotate(self.k_norm(self.k_proj(x).view(*x.shape[:2], self.kv, -1)).transpose(1, 2))
        v = heads(self.v_proj(x), self.kv)
        y = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, c: dict) -> None:
        super().__init__()
        hidden, wide = c["hidden_size"], c["intermediate_size"]
        self.norm, self.second_norm = (nn.RMSNorm(hidden, eps=c["rms_norm_eps"]) for _ in range(2))
        self.attention = Attention(c)
        self.gate, self.up = (nn.Linear(hidden, wide, bias=False) for _ in range(2))
        self.down = nn.Linear(wide, hidden, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm(x), cos, sin)
        y = self.second_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class PlainModel(nn.Module):
    def __init__(self, c: dict, window: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["num_hidden_layers"]))
        self.norm = nn.RMSNorm(c["hidden_size"], eps=c["rms_norm_eps"])
        theta = c.get("rope_theta") or c["rope_parameters"]["rope_theta"]
        frequencies = theta ** -(torch.arange(0, c["head_dim"], 2).float() / c["head_dim"])
        angles = torch.outer(torch.arange(window).float(), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.linear(self.norm(x), self.embedding.weight)


def build(folder: Path, window: int, plain: bool) -> tuple[nn.Module, str]:
    if not plain:
        try:
            from transformers import AutoConfig, AutoModelForCausalLM

            config = AutoConfig.from_pretrained(folder)
            config.use_cache = False
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")

            class Logits(nn.Module):
                def __init__(self) -> None:
                    super().__init__()
                    self.inner = model

                def forward(self, ids: torch.Tensor) -> torch.Tensor:
                    return self.inner(ids).logits

            return Logits(), "transformers"
        except ImportError:
            pass
    return PlainModel(json.loads((folder / "config.json").read_text()), window), "plain torch"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--window", type=int, default=2048)
    parser.add_argument("--batch-tokens", type=int, default=65536)
    parser.add_argument("--micro-batch-tokens", type=int)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = json.loads((args.model / "config.json").read_text())
    model, kind = build(args.model, args.window, args.plain)
    model = model.to(args.device).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.95), fused=True)
    run = torch.compile(model) if args.compile else model
    windows = max(1, args.batch_tokens // args.window)
    at_once = max(1, min(windows, (args.micro_batch_tokens or args.batch_tokens) // args.window))
    autocast = torch.autocast(args.device, torch.bfloat16, enabled=args.device != "cpu")

    def step() -> float:
        text = torch.randint(0, config["vocab_size"], (windows, args.window + 1), device=args.device)
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for piece in text.split(at_once):
            with autocast:
                logits = run(piece[:, :-1])
                loss = F.cross_entropy(logits.float().flatten(0, 1), piece[:, 1:].flatten(), reduction="sum")
            (loss / (windows * args.window)).backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return total

    def synchronize() -> None:
        if args.device != "cpu":
            torch.cuda.synchronize()

    for _ in range(2):
        step()
    synchronize()
    begin = time.perf_counter()
    for _ in range(args.steps):
        step()
    synchronize()
    seconds = time.perf_counter() - begin
    tokens = args.steps * windows * args.window
    hidden, layers, head = config["hidden_size"], config["num_hidden_layers"], config["head_dim"]
    q, kv = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    linear = layers * (2 * hidden * q + 2 * hidden * kv + 3 * hidden * config["intermediate_size"])
    operations = 6 * (linear + config["vocab_size"] * hidden) + 12 * layers * q * args.window
    name = torch.cuda.get_device_name() if args.device != "cpu" else "cpu"
    record = {
        "tokens_per_second": tokens / seconds, "model": kind, "compiled": args.compile, "device": name,
        "torch": torch.__version__, "steps": args.steps,
    }
    if any(gpu in name for gpu in ("H100", "H200")):
        record["model_flops_utilisation"] = tokens / seconds * operations / 989e12
    print(json.dumps(record))


if __name__ == "__main__":
    main()
