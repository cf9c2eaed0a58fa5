"""Writes a Hugging Face folder of random bfloat16 weights of about a given size: what the memory of a
compression is measured on.   synthetic_checkpoint.py OUT [--gigabytes 2] [--tokenizer FOLDER]
"""
import argparse
import json
import pathlib
import shutil
import struct

import numpy as np

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 2048, 5632, 32, 4, 64, 4096


def tensors(layers: int):
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name, shape in {
            "input_layernorm": (HIDDEN,), "post_attention_layernorm": (HIDDEN,),
            "self_attn.q_proj": (HEADS * HEAD_DIM, HIDDEN), "self_attn.k_proj": (KV_HEADS * HEAD_DIM, HIDDEN),
            "self_attn.v_proj": (KV_HEADS * HEAD_DIM, HIDDEN), "self_attn.o_proj": (HIDDEN, HEADS * HEAD_DIM),
            "mlp.gate_proj": (INTERMEDIATE, HIDDEN), "mlp.up_proj": (INTERMEDIATE, HIDDEN),
            "mlp.down_proj": (HIDDEN, INTERMEDIATE),
        }.items():
            yield f"{prefix}{name}.weight", shape
    yield "model.norm.weight", (HIDDEN,)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--tokenizer", type=pathlib.Path, default=pathlib.Path("Models/tiny"))
    options = parser.parse_args()
    per_layer = 2 * sum(int(np.prod(shape)) for name, shape in tensors(1) if ".layers." in name)
    layers = max(1, round(options.gigabytes * 1e9 / per_layer))
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(options.tokenizer / name, options.out / name)
    (options.out / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": layers, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "tie_word_embeddings": True, "hidden_act": "silu",
        "bos_token_id": 0, "eos_token_id": 0, "dtype": "bfloat16"}))
    header, offset = {}, 0
    for name, shape in tensors(layers):
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(1)
    with open(options.out / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors(layers):
            if len(shape) == 1:
                values = np.ones(shape, np.float32)
            else:
                values = random.standard_normal(shape, np.float32) * shape[1] ** -0.5
            file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    print(f"{options.out}: {layers} layers, {(options.out / 'model.safetensors').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
