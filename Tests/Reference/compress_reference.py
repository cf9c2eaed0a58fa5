"""Reference for compression: whitened low rank with a uniform budget, in plain Python and torch.

    python compress_reference.py MODEL OUT --keep 0.65 --format low-rank|pivoted-low-rank \
        --calibration FILE --windows 48 --threads T

For every linear layer W (out x in, y = W x) of every block, from the dense model:

    A = E[x x^T] over the calibration tokens; A <- (1 - a) A + a mean(diag A) I with a = 0.01;
    A = L L^T;  W L = U S V^T;  What = U_k S_k V_k^T L^-1, all in float64.

low-rank stores (U_k S_k) and (V_k^T L^-1). pivoted-low-rank stores k rows of What itself, picked by
column-pivoted QR of What^T, and the coefficients that express the other rows in them: k (m + n) - k^2
parameters. k is the largest rank with at most keep * m * n parameters. {q, k, v} share A, and so do
{gate, up}. Embeddings and the output head stay as they are. OUT receives a dense bfloat16 checkpoint
with the factors multiplied out. Prints JSON with the seconds of each phase.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import scipy.linalg
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging

from perplexity_reference import WINDOW, load_model, load_tokenizer, token_stream

SHRINKAGE = 0.01
GROUPS = [  # layers that share their input
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.o_proj",),
    ("mlp.gate_proj", "mlp.up_proj"),
    ("mlp.down_proj",),
]
PIVOTED = "pivoted-low-rank"


class Phases:
    """Wall-clock seconds per phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


def rank_for(keep: float, m: int, n: int, pivoted: bool) -> int:
    budget = keep * m * n
    if pivoted:
        rank = math.floor(0.5 * ((m + n) - math.sqrt((m + n) ** 2 - 4 * budget)))
    else:
        rank = math.floor(budget / (m + n))
    return max(1, min(rank, m, n))


def square_root(a: Tensor) -> tuple[Tensor, bool]:
    """L with L L^T = A: the Cholesky factor (True: triangular), else from the eigendecomposition."""
    factor, failed = torch.linalg.cholesky_ex(a)
    if not failed:
        return factor, True
    values, vectors = torch.linalg.eigh(a)
    return vectors * values.clamp_min(values[-1] * 1e-12).sqrt(), False


def low_rank(weight: Tensor, factor: Tensor, triangular: bool, rank: int) -> tuple[Tensor, Tensor]:
    """(m x k, k x n) whose product minimises ||(W - What) L||."""
    u, s, vt = torch.linalg.svd(weight @ factor, full_matrices=False)
    if triangular:
        right = torch.linalg.solve_triangular(factor, vt[:rank], upper=False, left=False)
    else:
        right = torch.linalg.solve(factor, vt[:rank], left=False)
    return u[:, :rank] * s[:rank], right


def pivot(product: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """(order, rows, coefficients): product[order[:k]] = rows and product[order[k:]] = coefficients @ rows."""
    r, order = scipy.linalg.qr(product.T.numpy(), mode="r", pivoting=True, check_finite=False)
    coefficients = scipy.linalg.solve_triangular(r[:rank, :rank], r[:rank, rank:]).T
    order = torch.from_numpy(order).long()
    return order, product[order[:rank]], torch.from_numpy(coefficients.copy())


def compress(
    weight: Tensor, factor: Tensor, triangular: bool, keep: float, pivoted: bool
) -> tuple[Tensor, int, float]:
    """The approximation multiplied out, its parameter count, and its relative error in the norm of A."""
    dense = weight.double()
    m, n = dense.shape
    rank = rank_for(keep, m, n, pivoted)
    left, right = low_rank(dense, factor, triangular, rank)
    product, parameters = left @ right, rank * (m + n)
    if pivoted and rank < min(m, n):
        order, rows, coefficients = pivot(product, rank)
        product = torch.empty_like(dense)
        product[order[:rank]], product[order[rank:]] = rows, coefficients @ rows
        parameters -= rank * rank
    error = ((dense - product) @ factor).square().sum() / (dense @ factor).square().sum()
    return product, parameters, error.item()


def layer_arguments(model: PreTrainedModel, ids: Tensor) -> list[dict[str, object]]:
    """What the model hands each block besides its input (mask, rope); the same for all windows."""
    seen: list[dict[str, object]] = []
    layers = model.model.layers
    hooks = [
        layer.register_forward_pre_hook(lambda _, __, kwargs: seen.append(kwargs), with_kwargs=True)
        for layer in layers
    ]
    model(ids, use_cache=False)
    for hook in hooks:
        hook.remove()
    return seen


def block_moments(
    block: nn.Module, arguments: dict[str, object], hidden: Tensor, dtype: torch.dtype
) -> list[Tensor]:
    """A for each group, in float64; `hidden` [windows, 2048, width] becomes the block's output in place."""
    layers = [block.get_submodule(group[0]) for group in GROUPS]
    sums = [torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64) for layer in layers]

    def record(index: int):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].flatten(0, -2).to(dtype)
            sums[index] += x.T @ x

        return hook

    hooks = [layer.register_forward_pre_hook(record(index)) for index, layer in enumerate(layers)]
    for window in hidden:
        window.copy_(block(window[None], **arguments)[0])
    for hook in hooks:
        hook.remove()
    return [a / hidden.shape[:2].numel() for a in sums]


def shrink(a: Tensor) -> Tensor:
    identity = torch.eye(len(a), dtype=a.dtype)
    return (1 - SHRINKAGE) * a + SHRINKAGE * a.diagonal().mean() * identity


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--keep", type=float, required=True, help="share of the linear layers' parameters")
    parser.add_argument("--format", choices=["low-rank", PIVOTED], default="low-rank")
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--windows", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--products", choices=["float64", "float32"], default="float64",
                        help="precision of x x^T within a window; the sum over windows is float64")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()
    phases, began = Phases(), time.perf_counter()

    with phases.measure("load"):
        model = load_model(arguments.model)
        tokenizer = load_tokenizer(arguments.model)
        stream = token_stream(
            arguments.calibration, tokenizer, model.config.eos_token_id, arguments.windows * WINDOW
        )
        windows = len(stream) // WINDOW
        if windows == 0:
            parser.error(f"{arguments.calibration} has {len(stream)} tokens; one window needs {WINDOW}")
        ids = torch.tensor(stream[: windows * WINDOW]).view(windows, WINDOW)

    with phases.measure("calibrate"):
        hidden = model.model.embed_tokens(ids).clone()
        handed = layer_arguments(model, ids[:1])
    dense_parameters = parameters = 0
    errors: list[float] = []
    for block, extra in zip(model.model.layers, handed):
        with phases.measure("calibrate"):
            moments = block_moments(block, extra, hidden, getattr(torch, arguments.products))
        with phases.measure("decompose"):
            for group, a in zip(GROUPS, moments):
                factor, triangular = square_root(shrink(a))
                for name in group:
                    weight = block.get_submodule(name).weight
                    product, count, error = compress(
                        weight, factor, triangular, arguments.keep, arguments.format == PIVOTED
                    )
                    weight.copy_(product)
                    dense_parameters, parameters = dense_parameters + weight.numel(), parameters + count
                    errors.append(error)

    with phases.measure("write"):
        model.to(torch.bfloat16).save_pretrained(arguments.out)
        for file in arguments.model.glob("tokenizer*"):
            shutil.copyfile(file, arguments.out / file.name)
    report = {
        "keep": parameters / dense_parameters,
        "format": arguments.format,
        "windows": windows,
        "mean_relative_error": sum(errors) / len(errors),
        "seconds": phases.seconds | {"total": time.perf_counter() - began},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
