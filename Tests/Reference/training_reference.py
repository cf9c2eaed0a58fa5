"""Losses of a few steps of training a small dense model, by transformers and torch.optim in float32.

    python training_reference.py OUTDIR TOKENIZER TEXT

Writes OUTDIR/model, a random Qwen3 with the tokenizer of the folder TOKENIZER, and OUTDIR/expected.json:

    window, windows   every step learns from all whole windows of TEXT, so that their order does not matter
    settings          learning rate, weight decay, steps, warm-up and floor, as `minima heal` names them
    losses, norms     next-token loss of each step before it, and the gradient's norm before it is clipped
"""

import json
import math
import shutil
import sys
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from perplexity_reference import load_tokenizer, token_stream

STEPS, WINDOW, RATE, DECAY, WARMUP, FLOOR, CLIP = 5, 64, 3e-3, 0.1, 0.4, 0.1, 0.3


def rate(step: int) -> float:
    warmup = math.ceil(WARMUP * STEPS)
    if step < warmup:
        return RATE * (step + 1) / warmup
    return RATE * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup))))


def main() -> None:
    out, folder, text = (Path(argument) for argument in sys.argv[1:])
    tokens = token_stream(text, load_tokenizer(folder), 0, None)
    windows = (len(tokens) - 1) // WINDOW
    ids = torch.tensor(tokens[: windows * WINDOW]).view(windows, WINDOW)
    targets = torch.tensor(tokens[1 : windows * WINDOW + 1]).view(windows, WINDOW)

    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=4096, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=16, max_position_embeddings=256, tie_word_embeddings=True,
            bos_token_id=0, eos_token_id=0,
        )
    ).float()
    model.save_pretrained(out / "model")
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(folder / name, out / "model" / name)

    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}], betas=(0.9, 0.95), eps=1e-8
    )
    losses, norms = [], []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad()
        logits = model(ids).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        optimizer.step()
    settings = {
        "learning_rate": RATE, "weight_decay": DECAY, "steps": STEPS, "warmup": WARMUP, "floor": FLOOR, "clip": CLIP
    }
    record = {"window": WINDOW, "windows": windows, "settings": settings, "losses": losses, "norms": norms}
    (out / "expected.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
