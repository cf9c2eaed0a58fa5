"""Reference for perplexity, KL divergence and evaluation throughput: transformers in float32 on a CPU.

    python perplexity_reference.py MODEL --text FILE --windows N [--reference MODEL] --threads T --json

Windows of 2,048 inputs and 2,048 targets, the next window 2,048 further, no overlap, a last partial window
dropped; perplexity = exp of the mean token loss. A file that contains the document separator is split
there, each document encoded without special tokens and followed by the end-of-sequence id, and all are
concatenated; any other file is one text. FILE may be compressed with xz.
With --reference (the dense model) also the mean of KL(reference || model) in nats per token, and the share
of positions where both rank the same token first. The seconds are those of the model's forward passes and
losses alone: no loading, no tokenizing, no reference model.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

WINDOW = 2_048
SEPARATOR = "\n\n<|endoftext|>\n\n"


def load_tokenizer(model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(model / "tokenizer.json"))


def read_text(path: Path, characters: int | None) -> str:
    """The file, or its first `characters`, without newline translation; only that much is decompressed."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return file.read(characters)


def token_stream(
    path: Path, tokenizer: Tokenizer, end_of_sequence: int, count: int | None, characters: int | None = None
) -> list[int]:
    """The first `count` ids of the text (all, when None); stops encoding documents once there are enough."""
    if characters is None and count is not None:
        characters = 16 * count  # English has 3 to 5 characters per token; checked below
    text = read_text(path, characters)
    complete = len(text) < (characters or math.inf)
    if SEPARATOR not in text:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
    else:
        ids = []
        for document in text.split(SEPARATOR):
            if document:
                ids += tokenizer.encode(document, add_special_tokens=False).ids + [end_of_sequence]
            if count is not None and len(ids) >= count:
                break
    if count is not None and len(ids) < count and not complete:
        return token_stream(path, tokenizer, end_of_sequence, count, 2 * characters)
    return ids if count is None else ids[:count]


def load_model(path: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


@torch.inference_mode()
def evaluate(
    model: PreTrainedModel, ids: torch.Tensor, windows: int, reference: PreTrainedModel | None
) -> dict[str, float | int | None]:
    loss_sum, kl_sum, agreement, seconds = 0.0, 0.0, 0, 0.0
    model(ids[None, :16], use_cache=False)  # first-use initialisation is not throughput
    for start in range(0, windows * WINDOW, WINDOW):
        inputs = ids[None, start : start + WINDOW]
        targets = ids[start + 1 : start + WINDOW + 1]
        began = time.perf_counter()
        logits = model(inputs, use_cache=False).logits[0]
        loss_sum += F.cross_entropy(logits, targets, reduction="sum").item()
        seconds += time.perf_counter() - began
        if reference is not None:
            dense = reference(inputs, use_cache=False).logits[0]
            agreement += (dense.argmax(-1) == logits.argmax(-1)).sum().item()
            ours, theirs = F.log_softmax(logits, -1), F.log_softmax(dense, -1)
            kl_sum += F.kl_div(ours, theirs, reduction="sum", log_target=True).item()
    tokens = windows * WINDOW
    return {
        "perplexity": math.exp(loss_sum / tokens),
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "kl_mean": None if reference is None else kl_sum / tokens,
        "top1_agreement": None if reference is None else agreement / tokens,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--windows", type=int, help="evaluate the first N windows (default: all)")
    parser.add_argument("--characters", type=int, help="read only the first N characters of the text")
    parser.add_argument("--reference", type=Path, help="dense model to compare with")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print JSON instead of one line per value")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()

    model = load_model(arguments.model)
    reference = load_model(arguments.reference) if arguments.reference else None
    end_of_sequence = model.config.eos_token_id
    if isinstance(end_of_sequence, list):
        end_of_sequence = end_of_sequence[0]
    tokenizer = load_tokenizer(arguments.model)
    if arguments.characters is None and arguments.windows is not None:
        # WINDOW more than needed: the last kept token must not depend on where the text was cut
        needed = (arguments.windows + 1) * WINDOW
    else:
        needed = None
    stream = token_stream(arguments.text, tokenizer, end_of_sequence, needed, arguments.characters)
    available = (len(stream) - 1) // WINDOW
    windows = available if arguments.windows is None else min(arguments.windows, available)
    if windows < 1:
        parser.error(f"{arguments.text} has {len(stream)} tokens; one window needs {WINDOW + 1}")
    result = evaluate(model, torch.tensor(stream), windows, reference)
    if arguments.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:18} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
