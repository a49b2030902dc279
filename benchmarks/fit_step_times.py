"""The two rows of the table of step times that are fitted here: Llama-3.1-8B on an RTX 4090 and an RTX PRO 6000.

LLMServingSim (casys-kaist/LLMServingSim, MIT) publishes how long the kernels of vLLM 0.19 take on these two. A step is
put together from them, for every row of its table of attention; the form's coefficients are those, none below 0, with
the least squared relative error over a random half of the steps, and the error is given for both halves. Steps that
decode, that read a prompt and that do both weigh the same, however many there are of each. Steps with more context than
the card's memory holds are left out.

    GROUNDSWELL_DATA=... python benchmarks/fit_step_times.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import nnls

FOLDER = Path(os.environ.get("GROUNDSWELL_DATA", "../shared/data")) / "latency" / "profiles"
CARDS = {"RTX4090": ("rtx4090", 41_408), "RTXPRO6000": ("rtxpro6000", 520_000)}
"""Name, and tokens of keys and values that fit beside the weights."""
LAYERS = 32
ONCE = ("embedding", "final_layernorm")
TWICE = ("layernorm",)
"""Per layer, before attention and before the feed-forward part."""
HINGES = (16, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024)
NAMES = ("c0_ms", "token_us", "hinge_us", "decode_us", "context_ns", "prefill_ps", "mixed_ns")
UNITS = np.array([1e-3, 1e-6, 1e-6, 1e-6, 1e-9, 1e-12, 1e-9])

Floats = NDArray[np.float64]


def steps(folder: Path, most_context: int) -> tuple[dict[str, Floats], Floats]:
    """What is in each step, and how long it takes, in seconds."""
    attention = pl.read_csv(folder / "attention.csv").filter(
        (pl.col("n_decode") * pl.col("kv_decode") <= most_context) & (pl.col("prefill_chunk") + pl.col("n_decode") > 0)
    )
    chunk, there, decodes, context, attention_us = (
        attention[name].to_numpy().astype(float) for name in attention.columns
    )
    tokens, sequences = chunk + decodes, decodes + (chunk > 0)
    dense = pl.read_csv(folder / "dense.csv")
    took_us = LAYERS * attention_us
    for (name,), rows in dense.group_by("layer"):
        rows = rows.sort("tokens")
        times = 1 if name in ONCE else LAYERS * (2 if name in TWICE else 1)
        took_us += times * np.interp(tokens, rows["tokens"], rows["time_us"])
    for _, rows in pl.read_csv(folder / "per_sequence.csv").group_by("layer"):
        rows = rows.sort("sequences")
        took_us += np.interp(sequences, rows["sequences"], rows["time_us"])
    what = {"N": tokens, "D": decodes, "K": decodes * context, "P": chunk * (there + chunk / 2)}
    return what, took_us * 1e-6


def columns(what: dict[str, Floats], hinge: float) -> Floats:
    """[steps, 7] what each coefficient, in its unit, is multiplied by."""
    mixed = np.where(what["P"] > 0, what["K"], 0.0)
    rows = [np.ones_like(mixed), what["N"], np.maximum(0, what["N"] - hinge), what["D"], what["K"], what["P"], mixed]
    scaled: Floats = np.stack(rows, axis=1) * UNITS
    return scaled


def kinds(what: dict[str, Floats]) -> NDArray[np.int64]:
    """0 for a step that decodes, 1 for one that reads a prompt, 2 for one that does both."""
    return np.where(what["P"] == 0, 0, np.where(what["D"] == 0, 1, 2))


def fitted(what: dict[str, Floats], took_s: Floats, use: NDArray[np.bool_]) -> tuple[float, Floats]:
    """The hinge and the coefficients with the least squared relative error over the steps in ``use``."""
    kind = kinds(what)[use]
    weight = 1 / np.sqrt(np.bincount(kind)[kind])
    best: Any = None
    for hinge in HINGES:
        relative = columns(what, hinge)[use] / took_s[use, None] * weight[:, None]
        scale = np.linalg.norm(relative, axis=0)
        found, misfit = nnls(relative / scale, weight)
        if best is None or misfit < best[0]:
            best = (misfit, hinge, found / scale)
    return best[1], best[2]


def main() -> None:
    for card, (name, most_context) in CARDS.items():
        what, took_s = steps(FOLDER / f"{card}_meta-llama_Llama-3.1-8B_bf16_tp1", most_context)
        use = np.random.default_rng(1).random(len(took_s)) < 0.5
        hinge, found = fitted(what, took_s, use)
        off = np.abs(columns(what, hinge) @ found / took_s - 1)
        print(f"{name}: hinge_tokens {hinge}, " + ", ".join(f"{n} {c:.5g}" for n, c in zip(NAMES, found, strict=True)))
        for kind, words in enumerate(("decode", "read a prompt", "do both")):
            of = kinds(what) == kind
            print(f"  steps that {words}: error {off[of & use].mean():.4f}, held out {off[of & ~use].mean():.4f}")


if __name__ == "__main__":
    main()
