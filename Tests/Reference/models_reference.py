"""Reference logits of every supported architecture, by transformers in float32.

    python models_reference.py OUTDIR [--data SHARED]

Writes one Hugging Face folder per case: a small model with random weights in which every part matters
(norm weights and biases are random too), and beside it `expected.safetensors`:

    input_ids            int64   [batch, length]
    logits               float32 [batch, length, vocabulary]   of one forward pass
    continuation         int64   [batch, 24]                   greedy, decoded with the key-value cache
    continuation_logits  float32 [batch, 24, vocabulary]       what each of those tokens was chosen from
    continuation_margin  float32 [batch, 24]                   best logit minus second best

The expected values are computed on the model as *read back* from its folder, in float32 also where the
checkpoint is bfloat16. Cached decoding is checked here against a pass without the cache.
With --data, the trained models in SHARED/models are covered too; their weights stay where they are.
`cases.json` lists {"name", "root": "outdir" | "shared", "model"}: `model` is the checkpoint folder
relative to OUTDIR or SHARED, and OUTDIR/name/expected.safetensors holds the values.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)
from transformers.utils import logging

from perplexity_reference import load_tokenizer, token_stream

NEW_TOKENS = 24
SMALLEST_MARGIN = 1e-3  # a greedy choice closer than this could differ between correct implementations


@dataclass
class Case:
    """One random checkpoint. `legacy` writes config.json as transformers 4 did; `edits` go into it last."""

    name: str
    config: PreTrainedConfig
    batch: int = 2
    length: int = 32
    dtype: torch.dtype = torch.float32
    save: dict[str, Any] = field(default_factory=dict)
    legacy: bool = False
    edits: dict[str, Any] = field(default_factory=dict)


def sizes(**changes: Any) -> dict[str, Any]:
    """Grouped-query sizes that are not powers of two; a case changes what it is about."""
    base = dict(
        vocab_size=131,
        hidden_size=48,
        intermediate_size=77,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        bos_token_id=None,
        eos_token_id=None,
        tie_word_embeddings=False,
    )
    return base | changes


def rope(kind: str, theta: float = 10_000.0, **parameters: Any) -> dict[str, Any]:
    return {"rope_type": kind, "rope_theta": theta} | parameters


def random_cases() -> list[Case]:
    llama3 = rope(
        "llama3",
        500_000.0,
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=64,  # so small that all three bands of wavelengths occur
    )
    yarn = dict(factor=4.0, original_max_position_embeddings=64)
    explicit_yarn = rope(
        "yarn", 1_000_000.0, **yarn, beta_fast=8.0, beta_slow=2.0, attention_factor=1.25, truncate=False
    )
    qwen_window = dict(use_sliding_window=True, sliding_window=7, max_window_layers=1)
    qwen3 = sizes(head_dim=16, rope_parameters=rope("default", 1_000_000.0), rms_norm_eps=1e-6)
    return [
        Case("qwen3-tied", Qwen3Config(**qwen3 | dict(tie_word_embeddings=True))),
        # head_dim * heads differs from hidden_size, and five heads share one key-value head
        Case(
            "qwen3-untied",
            Qwen3Config(
                **qwen3 | dict(hidden_size=36, num_attention_heads=5, num_key_value_heads=1, vocab_size=97)
            ),
            batch=3,
            length=25,
        ),
        Case("qwen3-attention-bias", Qwen3Config(**qwen3 | dict(attention_bias=True))),
        Case("qwen3-yarn", Qwen3Config(**qwen3 | dict(rope_parameters=explicit_yarn))),
        Case("qwen2", Qwen2Config(**sizes(tie_word_embeddings=True))),
        # layers from max_window_layers on see a window; layer 0 sees everything
        Case("qwen2-window", Qwen2Config(**sizes(**qwen_window)), length=30),
        Case("qwen2-window-legacy", Qwen2Config(**sizes(**qwen_window)), length=30, legacy=True),
        # a window that is written down but not in use, as Qwen publishes it
        Case("qwen2-window-off", Qwen2Config(**sizes()), legacy=True, edits={"sliding_window": 7}),
        Case("llama2", LlamaConfig(**sizes(num_key_value_heads=4, num_hidden_layers=2)), length=40),
        Case("llama3", LlamaConfig(**sizes(hidden_size=64, rope_parameters=llama3)), length=40),
        Case("llama3-legacy", LlamaConfig(**sizes(hidden_size=64, rope_parameters=llama3)), legacy=True),
        Case("llama-linear", LlamaConfig(**sizes(rope_parameters=rope("linear", factor=2.5))), legacy=True),
        Case("llama-yarn", LlamaConfig(**sizes(hidden_size=64, rope_parameters=rope("yarn", **yarn))), length=40),
        Case("llama-bias", LlamaConfig(**sizes(attention_bias=True, mlp_bias=True, head_dim=10))),
        Case("mistral-window", MistralConfig(**sizes(sliding_window=9, head_dim=14)), batch=3, length=33),
        Case("mistral", MistralConfig(**sizes(sliding_window=None)), length=24),
        Case("sharded", Qwen3Config(**qwen3), save={"max_shard_size": "24KB"}),
        Case("bfloat16", Qwen3Config(**qwen3 | dict(tie_word_embeddings=True)), dtype=torch.bfloat16),
    ]


def randomise(model: PreTrainedModel, generator: torch.Generator) -> None:
    """Weights around 0.2 (logits of a few units), norm weights around 1, biases around 0.3: nothing is neutral."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(0.3 * noise + (1.0 if "norm" in name else 0.0))


def rewrite_as_legacy(path: Path, edits: dict[str, Any]) -> None:
    """The same configuration as transformers 4 wrote it, which is what most published checkpoints hold."""
    config = json.loads(path.read_text())
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters.pop("rope_theta")
    kind = parameters.pop("rope_type")
    key = "type" if kind == "linear" else "rope_type"  # both spellings are in use
    config["rope_scaling"] = None if kind == "default" else {key: kind} | parameters
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    path.write_text(json.dumps(config | edits, indent=2) + "\n")


@torch.inference_mode()
def expected_values(folder: Path, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    logits = model(ids, use_cache=False).logits
    step = model(ids, use_cache=True)
    tokens, rows = [], []
    for _ in range(NEW_TOKENS):
        rows.append(step.logits[:, -1])
        tokens.append(rows[-1].argmax(-1, keepdim=True))
        step = model(tokens[-1], past_key_values=step.past_key_values, use_cache=True)
    continuation, cached = torch.cat(tokens, 1), torch.stack(rows, 1)

    whole = model(torch.cat([ids, continuation], 1), use_cache=False).logits
    torch.testing.assert_close(cached, whole[:, ids.shape[1] - 1 : -1], rtol=1e-4, atol=1e-3)
    best = cached.topk(2, dim=-1).values
    return {
        "input_ids": ids,
        "logits": logits.contiguous(),
        "continuation": continuation,
        "continuation_logits": cached,
        "continuation_margin": best[..., 0] - best[..., 1],
    }


def write_expected(folder: Path, out: Path, ids: torch.Tensor) -> bool:
    """False, with nothing written, when a greedy choice is too close to call."""
    values = expected_values(folder, ids)
    margin = values["continuation_margin"].min().item()
    print(f"{out.name:22} logits std {values['logits'].std():6.2f}   smallest greedy margin {margin:.1e}")
    if margin < SMALLEST_MARGIN:
        return False
    out.mkdir(parents=True, exist_ok=True)
    save_file(values, out / "expected.safetensors")
    return True


def write_random_case(case: Case, seed: int, outdir: Path) -> bool:
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(case.config)
    randomise(model, generator)
    folder = outdir / case.name
    model.to(case.dtype).save_pretrained(folder, **case.save)
    if case.legacy:
        rewrite_as_legacy(folder / "config.json", case.edits)
    shape = (case.batch, case.length)
    return write_expected(folder, folder, torch.randint(case.config.vocab_size, shape, generator=generator))


def trained_ids(name: str, shared: Path) -> torch.Tensor:
    """128 ids: the model's own golden text for stories260K, else the first validation document."""
    if name == "stories260K":
        golden = json.loads((shared / "models/stories260K/golden_greedy.json").read_text())
        return torch.tensor([(golden["prompt_ids"] + golden["greedy_ids"])[:128]])
    tokenizer = load_tokenizer(shared / "models" / name)
    return torch.tensor([token_stream(shared / "data/corpus/valid.txt.xz", tokenizer, 0, 128)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--data", type=Path, help="folder that holds models/ and data/")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    cases = []
    for index, case in enumerate(random_cases()):
        seeds = range(1_000 * index, 1_000 * index + 100)
        if not any(write_random_case(case, seed, arguments.outdir) for seed in seeds):
            raise SystemExit(f"{case.name}: no seed gives an unambiguous continuation")
        cases.append({"name": case.name, "root": "outdir", "model": case.name})
    if arguments.data:
        for name, model in [("tiny", "tiny"), ("small", "small"), ("stories260K", "stories260K/hf")]:
            folder = arguments.data / "models" / model
            if not write_expected(folder, arguments.outdir / name, trained_ids(name, arguments.data)):
                raise SystemExit(f"{name}: the continuation is ambiguous; choose other ids")
            cases.append({"name": name, "root": "shared", "model": f"models/{model}"})
    (arguments.outdir / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
