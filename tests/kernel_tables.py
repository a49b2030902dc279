"""Tables of kernels of a made-up processor, whose steps cost what is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from groundswell.simulate.parts import StepCost

LAYERS = 10
COST = StepCost(
    c0_s=1e-6 * (LAYERS * (100 + 2 * 5) + 40 + 50 + LAYERS * 8),
    token_s=1e-6 * LAYERS * 1.5,
    hinge_s=1e-6 * LAYERS * 2.5,
    hinge_tokens=128.0,
    decode_s=1e-6 * (0.5 + LAYERS * 0.25),
    context_s=1e-6 * LAYERS * 1e-3,
    prefill_s=1e-6 * LAYERS * 1e-5,
    mixed_s=1e-6 * LAYERS * 4e-4,
    prompt_s=1e-6 * LAYERS * (20 - 8),
)
"""Dense: 100 μs a layer, two norms of 5 and an embedding of 40; 1.5 μs for each token and 2.5 more beyond 128. Made
tokens: 50 μs and 0.5 each. Attention of a layer: 8 μs, 0.25 for each request and 1 ns for each token of context; 20 μs
where a prompt is read, 10 ps for each pair of tokens in it, and 0.4 ns more for each token of context beside it."""


def write(folder: Path) -> None:
    """The three tables, as files."""
    folder.mkdir(exist_ok=True)
    for name, table in (("dense", _dense()), ("per_sequence", _per_sequence()), ("attention", _attention())):
        table.write_csv(folder / f"{name}.csv")


def _dense() -> pl.DataFrame:
    tokens = np.unique(np.concatenate((np.arange(1, 33), np.arange(32, 2049, 32))))
    product_us = 100.0 + 1.5 * tokens + 2.5 * np.maximum(0, tokens - 128)
    layers = {"product": product_us, "layernorm": np.full(tokens.size, 5.0), "embedding": np.full(tokens.size, 40.0)}
    return pl.concat(
        [pl.DataFrame({"layer": name, "tokens": tokens, "time_us": time_us}) for name, time_us in layers.items()]
    )


def _per_sequence() -> pl.DataFrame:
    sequences = np.array([1, 16, 64, 256])
    return pl.DataFrame({"layer": "scores", "sequences": sequences, "time_us": 50.0 + 0.5 * sequences})


def _attention() -> pl.DataFrame:
    sizes = [0, 64, 512, 2048], [0, 1024], [0, 1, 8, 64], [256, 1024, 4096]
    chunk, there, decodes, each = (axis.ravel().astype(float) for axis in np.meshgrid(*sizes, indexing="ij"))
    keep = ((chunk > 0) | (there == 0)) & ((decodes > 0) | (each == 256)) & (chunk + decodes > 0)
    chunk, there, decodes, each = (axis[keep] for axis in (chunk, there, decodes, each))
    context = decodes * each
    time_us = np.where(chunk > 0, 20.0 + 1e-5 * chunk * (there + chunk / 2) + 4e-4 * context, 8.0)
    time_us += 0.25 * decodes + 1e-3 * context
    columns = {"prefill_chunk": chunk, "kv_prefill": there, "n_decode": decodes, "kv_decode": each}
    return pl.DataFrame(
        {**{name: pl.Series(axis).cast(pl.Int64) for name, axis in columns.items()}, "time_us": time_us}
    )
