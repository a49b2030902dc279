"""Composed client by client against a strong NAIVE: what clients do to bursts and lengths. Prints a table.

Statistics are taken inside each 600 s window, over 3 s bins, and averaged over 3 windows and 5 seeds; language at 100
requests a second, reasoning at 15; clients with lengths only. NAIVE has each window's count, aggregate CV and pooled
rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from common import public_pool, table
from groundswell.compose import compose
from groundswell.naive import naive
from groundswell.table import Workload

CASES = [
    ("m-large", 0, 100.0),
    ("m-large", 10, 100.0),
    ("m-large", 87, 100.0),
    ("m-small", 135, 100.0),
    ("deepseek-r1", 10, 15.0),
]
BIN_S, WINDOW_S, WINDOWS, SEEDS = 3.0, 600.0, 3, 5


def window_statistics(blocks: Iterable[Workload]) -> np.ndarray:
    """For each window: spread of the rate, spread of the mean input, correlation of the rate with mean input and
    output.
    """
    frame = pl.concat([b.frame.select("arrival_s", "input_tokens", "output_tokens") for b in blocks])
    bins = frame.group_by((pl.col("arrival_s") // BIN_S).cast(pl.Int64).alias("bin")).agg(
        pl.len().alias("n"), pl.mean("input_tokens"), pl.mean("output_tokens")
    )
    every = pl.DataFrame({"bin": np.arange(int(WINDOWS * WINDOW_S / BIN_S))}).join(
        bins, on="bin", how="left", maintain_order="left"
    )
    out = []
    for k in range(WINDOWS):
        part = every[k * int(WINDOW_S / BIN_S) : (k + 1) * int(WINDOW_S / BIN_S)]
        n = part["n"].fill_null(0).to_numpy().astype(float)
        held = n > 0
        mean_in, mean_out = (part[f].to_numpy().astype(float) for f in ("input_tokens", "output_tokens"))
        out.append(
            [
                n.std() / n.mean(),
                mean_in[held].std() / mean_in[held].mean(),
                np.corrcoef(n[held], mean_in[held])[0, 1],
                np.corrcoef(n[held], mean_out[held])[0, 1],
            ]
        )
    return np.asarray(np.mean(out, axis=0))


def main() -> None:
    rows = []
    for name, hour, rate in CASES:
        pool = public_pool(name)
        found: dict[str, list[np.ndarray]] = {"composed": [], "recorded": [], "NAIVE": [], "Poisson": []}
        for seed in range(SEEDS):
            made = compose(pool, rate, WINDOWS * WINDOW_S, seed, start_s=hour * 3600.0)
            recorded = compose(pool, rate, WINDOWS * WINDOW_S, seed, start_s=hour * 3600.0, weibull="recorded")
            found["composed"].append(window_statistics(made))
            found["recorded"].append(window_statistics(recorded))
            found["NAIVE"].append(window_statistics(naive(made, made.duration_s, seed)))
            found["Poisson"].append(window_statistics(naive(made, made.duration_s, seed, "poisson")))
        for kind, values in found.items():
            spread, spread_in, with_in, with_out = np.mean(values, axis=0)
            numbers = (f"{spread:.3f}", f"{spread_in:.3f}", f"{with_in:+.2f}", f"{with_out:+.2f}")
            rows.append((f"{name} {hour}", kind, *numbers))
    print("recorded: composed with Weibull shapes as the pool records them, rather than from the recorded CV\n")
    table(
        [
            "case (start hour)",
            "workload",
            "spread of 3 s rate",
            "spread of 3 s mean input",
            "corr(rate, input)",
            "corr(rate, output)",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
