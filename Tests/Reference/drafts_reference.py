#!/usr/bin/env python3
"""EAGLE-3 drafts with random weights, and what they guess, for GenerateTests.

    python3 Tests/Reference/drafts_reference.py Models/tiny OUTPUT

OUTPUT/authors and OUTPUT/speculators hold the same kind of draft as the authors' repository (SafeAILab/EAGLE) and as the
speculators library write it: other names, another configuration, the norm before or behind the residual stream. Beside them
expected.json: {"text": token ids, "drafts": [[guesses behind the first n tokens] for n = 2 …]}. Written from the paper's and the
authors' description with plain torch operations; the target is run by transformers.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HIDDEN, INNER, HEADS, KV_HEADS, HEAD_DIM, DRAFTABLE, CHAIN = 256, 320, 4, 2, 32, 300, 4
EPSILON, THETA = 1e-5, 5000.0


def weights(generator, embedding):
    def normal(*shape, scale):
        return torch.randn(*shape, generator=generator) * scale

    layer = {
        "hidden_norm.weight": 1 + normal(HIDDEN, scale=0.2),
        "input_layernorm.weight": 1 + normal(HIDDEN, scale=0.2),
        "post_attention_layernorm.weight": 1 + normal(HIDDEN, scale=0.2),
        "self_attn.q_proj.weight": normal(HEADS * HEAD_DIM, 2 * HIDDEN, scale=0.08),
        "self_attn.k_proj.weight": normal(KV_HEADS * HEAD_DIM, 2 * HIDDEN, scale=0.08),
        "self_attn.v_proj.weight": normal(KV_HEADS * HEAD_DIM, 2 * HIDDEN, scale=0.08),
        "self_attn.o_proj.weight": normal(HIDDEN, HEADS * HEAD_DIM, scale=0.2),
        "mlp.gate_proj.weight": normal(INNER, HIDDEN, scale=0.08),
        "mlp.up_proj.weight": normal(INNER, HIDDEN, scale=0.08),
        "mlp.down_proj.weight": normal(HIDDEN, INNER, scale=0.15),
    }
    ends = {
        "fc.weight": normal(HIDDEN, 3 * HIDDEN, scale=0.06),
        "norm.weight": 1 + normal(HIDDEN, scale=0.2),
        "lm_head.weight": normal(DRAFTABLE, HIDDEN, scale=0.1),
    }
    targets = torch.randperm(embedding.shape[0], generator=generator)[:DRAFTABLE].sort().values
    return layer, ends, targets


def rms_norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * weight


def rotate(x, positions):
    """x [tokens, heads, dims]."""
    frequencies = THETA ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    angles = positions[:, None].float() * frequencies[None]
    cos, sin = torch.cat([angles.cos()] * 2, -1)[:, None], torch.cat([angles.sin()] * 2, -1)[:, None]
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


class Draft:
    def __init__(self, layer, ends, embedding, norm_before_residual):
        self.layer, self.ends, self.embedding = layer, ends, embedding
        self.norm_before_residual = norm_before_residual
        self.keys, self.values = [], []

    def forward(self, token, g, position):
        """One token behind the cache: its output, pre-norm."""
        w = self.layer
        normed = rms_norm(g, w["hidden_norm.weight"])
        z = torch.cat([rms_norm(self.embedding[token], w["input_layernorm.weight"]), normed])
        place = torch.tensor([position])
        q = rotate((w["self_attn.q_proj.weight"] @ z).view(1, HEADS, HEAD_DIM), place)[0]
        self.keys.append(rotate((w["self_attn.k_proj.weight"] @ z).view(1, KV_HEADS, HEAD_DIM), place)[0])
        self.values.append((w["self_attn.v_proj.weight"] @ z).view(KV_HEADS, HEAD_DIM))
        keys, values = torch.stack(self.keys, 1), torch.stack(self.values, 1)  # [kv heads, tokens, dims]
        keys, values = (t.repeat_interleave(HEADS // KV_HEADS, 0) for t in (keys, values))
        shares = torch.softmax((keys @ q[:, :, None]).squeeze(-1) / HEAD_DIM**0.5, -1)
        attended = (shares[:, None] @ values).reshape(-1)
        h = (normed if self.norm_before_residual else g) + w["self_attn.o_proj.weight"] @ attended
        inner = rms_norm(h, w["post_attention_layernorm.weight"])
        gate, up = w["mlp.gate_proj.weight"] @ inner, w["mlp.up_proj.weight"] @ inner
        return h + w["mlp.down_proj.weight"] @ (torch.nn.functional.silu(gate) * up)

    def guess(self, output, targets):
        logits = self.ends["lm_head.weight"] @ rms_norm(output, self.ends["norm.weight"])
        best = logits.topk(2).values
        return int(targets[logits.argmax()]), float(best[0] - best[1])


def drafts(model, layer, ends, targets, taps, text, norm_before_residual):
    embedding = model.get_input_embeddings().weight.detach()
    states = model(torch.tensor([text]), output_hidden_states=True).hidden_states
    features = torch.cat([states[tap][0] for tap in taps], -1)  # states[i] is what enters layer i
    found = []
    for known in range(2, len(text)):
        draft = Draft(layer, ends, embedding, norm_before_residual)
        for position in range(known - 1):
            output = draft.forward(text[position + 1], ends["fc.weight"] @ features[position], position)
        chain, least = [], 1e9
        for step in range(CHAIN):
            token, margin = draft.guess(output, targets)
            chain.append(token)
            least = min(least, margin)
            output = draft.forward(token, output, known - 1 + step)
        found.append({"tokens": chain, "margin": least})
    return found


def main():
    source, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    torch.set_grad_enabled(False)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    embedding = model.get_input_embeddings().weight
    vocabulary = embedding.shape[0]
    generator = torch.Generator().manual_seed(7)
    shape = {
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "num_hidden_layers": 1, "vocab_size": vocabulary,
        "rms_norm_eps": EPSILON, "rope_theta": THETA, "max_position_embeddings": 4096, "hidden_act": "silu",
        "tie_word_embeddings": False, "attention_bias": False,
    }
    for name in ("authors", "speculators"):
        layer, ends, targets = weights(generator, embedding)
        folder = output / name
        folder.mkdir(parents=True)
        taps = [1, 3, 5] if name == "authors" else [2, 3, 4]
        if name == "authors":
            prefix = "midlayer."
            config = {
                "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "draft_vocab_size": DRAFTABLE,
                "torch_dtype": "float32", **shape,
            }
        else:
            prefix = "layers.0."
            config = {
                "architectures": ["Eagle3Speculator"], "speculators_model_type": "eagle3", "draft_vocab_size": DRAFTABLE,
                "norm_before_residual": True, "eagle_aux_hidden_state_layer_ids": taps,
                "transformer_layer_config": {"model_type": "llama", **shape},
                "speculators_config": {"algorithm": "eagle3", "verifier": {"name_or_path": "tiny"}},
            }
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        tensors = {prefix + key: value for key, value in layer.items()} | ends
        tensors["d2t"] = targets - torch.arange(DRAFTABLE)
        tensors["t2d"] = torch.zeros(vocabulary, dtype=torch.bool).index_fill(0, targets, True)
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "model.safetensors")
        text = torch.randint(1, vocabulary, (70,), generator=generator).tolist()
        found = drafts(model, layer, ends, targets, taps, text, name == "speculators")
        (output / f"{name}.json").write_text(json.dumps({"text": text, "drafts": found}))


if __name__ == "__main__":
    main()
