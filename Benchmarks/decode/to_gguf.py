"""Writes a Qwen3 checkpoint as GGUF, under the names that llama.cpp's own converter gives: what `llama_cpp_steps.py` times.

    python to_gguf.py MODEL OUT.gguf [--dtype float32]

Matrices are of the type that is asked for, norms float32. No tokenizer is written: token ids go in and out. Needs the
packages gguf and numpy.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os

import gguf
import numpy as np

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
ENDS = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def renamed(name: str) -> str:
    if name in ENDS:
        return ENDS[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


def tensors(path: str):
    """Names and float32 values of a .safetensors file of float32 or bfloat16."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        for name, info in header.items():
            if name == "__metadata__":
                continue
            begin, end = (8 + size + offset for offset in info["data_offsets"])
            if info["dtype"] == "BF16":
                values = (np.frombuffer(memory[begin:end], np.uint16).astype(np.uint32) << 16).view(np.float32)
            elif info["dtype"] == "F32":
                values = np.frombuffer(memory[begin:end], np.float32)
            else:
                raise SystemExit(f"{name} is {info['dtype']}; BF16 and F32 are read")
            yield name, values.reshape(info["shape"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("output")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    with open(os.path.join(args.model, "config.json")) as file:
        config = json.load(file)
    if config["model_type"] != "qwen3":
        raise SystemExit("only Qwen3 is written")
    writer = gguf.GGUFWriter(args.output, "qwen3")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(config["vocab_size"])
    wide = args.dtype == "float32"
    writer.add_file_type(gguf.LlamaFileType.ALL_F32 if wide else gguf.LlamaFileType.MOSTLY_BF16)
    for name in sorted(os.listdir(args.model)):
        if not name.endswith(".safetensors"):
            continue
        for tensor, values in tensors(os.path.join(args.model, name)):
            if wide or values.ndim == 1:
                writer.add_tensor(renamed(tensor), values)
            else:
                kind = gguf.GGMLQuantizationType.BF16
                writer.add_tensor(renamed(tensor), gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
