"""What conversations change in a day that the population `reasoning` generates, as a Markdown table.

python benchmarks/population_conversations.py [--seeds 8]

Each seed draws as many clients as were fitted, and generates a day at their own rates twice: without the figures of
conversations, and with them. Multi-turn traffic is compared with what ServeGen reports of deepseek-r1.
"""

from __future__ import annotations

import argparse
from typing import Any

import msgspec
import numpy as np
import polars as pl

from common import machine
from groundswell.compose import compose
from groundswell.population import Population

DAY_S = 86_400.0
PAPER = {
    "share of requests in conversations of several turns": "0.0962",
    "turns of those": "3.3 to 3.5",
    "from turn to turn p50, s": "near 100",
}


def figures(law: Population, seed: int) -> dict[str, float]:
    """Of one day."""
    pool = law.sample(law.fitted.clients, seed, span_s=DAY_S)
    frame = compose(pool, None, DAY_S, seed).collect().frame
    given: Any = frame["input_tokens"].to_numpy()
    gaps = np.diff(frame["arrival_s"].to_numpy())
    out = {
        "requests": float(frame.height),
        "input mean, tokens": float(given.mean()),
        **{f"input p{100 * q:g}, tokens": float(np.quantile(given, q)) for q in (0.5, 0.9, 0.99)},
        "output mean, tokens": float(frame["output_tokens"].to_numpy().mean()),
        "CV of all gaps": float(gaps.std() / gaps.mean()),
    }
    if "conversation" in frame.columns:
        turns = frame.group_by("conversation").len()["len"].to_numpy()
        several = turns[turns > 1]
        step = frame.sort("conversation", "turn").select(pl.col("arrival_s").diff().over("conversation"))["arrival_s"]
        out |= {
            "share of requests in conversations of several turns": float(several.sum() / turns.sum()),
            "turns of those": float(several.mean()),
            **{f"from turn to turn p{100 * q:g}, s": float(np.nanquantile(step, q)) for q in (0.5, 0.9, 0.99)},
        }
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    seeds = range(1, parser.parse_args().seeds + 1)
    law = Population.load("reasoning")
    single = [figures(msgspec.structs.replace(law, conversations=None), seed) for seed in seeds]
    talking = [figures(law, seed) for seed in seeds]
    print(f"{machine()}\n")
    print(f"| mean of {len(seeds)} days | single requests | conversations | ratio | paper |\n|---|---:|---:|---:|---:|")
    for name in talking[0]:
        now = np.mean([day[name] for day in talking])
        was = [day[name] for day in single if name in day]
        before = f"{np.mean(was):.4g} | {now:.4g} | {now / np.mean(was):.2f}" if was else f"| {now:.4g} |"
        print(f"| {name} | {before} | {PAPER.get(name, '')} |")


if __name__ == "__main__":
    main()
