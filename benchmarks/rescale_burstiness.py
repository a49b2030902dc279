"""What scaling up does to the burstiness of multi-turn traffic (ServeGen's Figure 16): ITT and NAIVE against the same
traffic generated at the higher rate. Prints a table; ``--picture FILE.svg`` draws the dispersion at every scale.

One client converses: conversations begin as a Poisson process, have 3.4 requests on average, and pauses of a median of
100 s and a long tail between a reply and the next turn. Twenty days at 0.05 requests a second are scaled to 1 by
both methods, which makes a day, and a day is generated at 1: by twenty times the users, who take as long to think.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from common import table
from groundswell.clients.client import Client, pool_of
from groundswell.compose import compose
from groundswell.report import palette
from groundswell.report.axes import plain, seconds
from groundswell.report.figure import Figure
from groundswell.report.files import FORMATS, drawn
from groundswell.report.plot import lines
from groundswell.report.plot.lines import Line
from groundswell.rescale import rescale
from groundswell.table import Workload

Floats = NDArray[np.float64]

RATE, FACTOR, HOURS, SEEDS = 0.05, 20.0, 480.0, 10
WINDOW_S, SCALES_S = 1200.0, (10.0, 60.0, 600.0)
SETTLED_S = 7200.0
"""Windows before are left out: a rescaled trace begins with the conversations that its first minutes begin."""
CHAT = {
    "input_tokens": "lognormal:mean=800,cv=1.5",
    "output_tokens": "exponential:mean=200",
    "turns": "empirical:values=(1,2,3,5,12),weights=(30,25,20,15,10)",
    "think_ms": "lognormal:mean=180000,cv=1.5",
    "new_tokens": "lognormal:mean=60,cv=1",
}


def traffic(rate_per_s: float, span_s: float, seed: int) -> Workload:
    client = Client("chat", rate_per_s, "poisson", CHAT)
    return compose(pool_of([client], span_s=span_s), seed=seed).collect()


def variants(seed: int) -> dict[str, Workload]:
    span_s = 3600.0 * HOURS
    original = traffic(RATE, span_s, seed)
    made = {
        "original": original,
        "ITT": Workload.concat(list(rescale([original], FACTOR, "itt"))),
        "NAIVE": Workload.concat(list(rescale([original], FACTOR, "naive"))),
        "generated": traffic(RATE * FACTOR, span_s / FACTOR, 1000 + seed),
    }
    end_s = span_s / FACTOR
    return {
        name: w if name == "original" else Workload(w.frame.filter(pl.col("arrival_s") < end_s))
        for name, w in made.items()
    }


def window_cvs(w: Workload) -> Floats:
    """The CV of the gaps in each window."""
    frame = pl.DataFrame({"t": w.arrival_s}).with_columns(gap=pl.col("t").diff(), window=pl.col("t") // WINDOW_S)
    inside = frame.filter((pl.col("t") >= SETTLED_S) & (pl.col("window") < w.arrival_s[-1] // WINDOW_S))
    of_window = inside.group_by("window").agg(cv=pl.col("gap").std() / pl.col("gap").mean(), n=pl.len())
    return of_window.filter(pl.col("n") >= 20)["cv"].to_numpy()


def dispersion(w: Workload, scale_s: float) -> float:
    """The variance of counts in stretches of this length, over their mean."""
    number = (w.arrival_s[w.arrival_s >= SETTLED_S] // scale_s).astype(np.int64)
    counts = np.bincount(number - number[0])[1:-1]
    return float(counts.var() / counts.mean())


def inter_turn(w: Workload) -> Floats:
    gaps = w.frame.drop_nulls("conversation").sort("conversation", "turn")
    return gaps.select(pl.col("arrival_s").diff().over("conversation")).to_series().drop_nulls().to_numpy()


def with_spread(values: Iterable[float]) -> str:
    """Mean and standard error over seeds."""
    x = np.array(list(values))
    return f"{x.mean():.3g} ± {x.std(ddof=1) / np.sqrt(x.size):.1g}"


def picture(runs: list[dict[str, Workload]]) -> Figure:
    """The index of dispersion against the length of the stretches that are counted, mean of all seeds."""
    scales = np.geomspace(1.0, 1200.0, 25)
    looks = {
        "original": (palette.DATA, (1, 0)),
        "generated": (palette.SERIES[2], (1, 0)),
        "ITT": (palette.SERIES[0], (6, 3)),
        "NAIVE": (palette.SERIES[1], (1, 0)),
    }
    curves = [
        Line(name, scales, np.mean([[dispersion(run[name], s) for s in scales] for run in runs], axis=0), *look)
        for name, look in looks.items()
    ]
    spec = lines(curves, seconds("length of a stretch"), plain("variance of counts over their mean", log=True))
    return Figure("rescale-burstiness", f"Multi-turn traffic at {FACTOR:g} times its rate", "", "", spec)


def figures(runs: list[Workload]) -> list[str]:
    """What the table says of one kind of traffic."""
    settled = [float((w.arrival_s >= SETTLED_S).sum() / (w.arrival_s[-1] - SETTLED_S)) for w in runs]
    return [
        with_spread(settled),
        with_spread(float(window_cvs(w).mean()) for w in runs),
        *(with_spread(dispersion(w, scale_s) for w in runs) for scale_s in SCALES_S),
        with_spread(float(np.median(inter_turn(w))) for w in runs),
    ]


def main() -> None:
    runs = [variants(seed) for seed in range(SEEDS)]
    print(f"{HOURS:g} h at {RATE:g} req/s, scaled by {FACTOR:g}; {SEEDS} seeds, mean ± standard error\n")
    head = ["traffic", "req/s", f"CV, {WINDOW_S / 60:.0f} min windows", *(f"dispersion, {s:g} s" for s in SCALES_S)]
    rows = [(name, *figures([run[name] for run in runs])) for name in runs[0]]
    table([*head, "inter-turn p50, s"], rows)
    if "--picture" in sys.argv:
        path = Path(sys.argv[sys.argv.index("--picture") + 1])
        path.write_bytes(FORMATS["svg"](drawn(picture(runs))))
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
