"""How often the stated 95 % intervals hold the truth, on traces whose truth is known; and false alarms.

    python benchmarks/intervals.py [--repeats 200] [--only TEXT] [--alarms]

Each row is one estimator on one kind of trace: its true value, the mean of the estimates, and the share of repeats
whose interval holds the truth, of those that have one. Below 90 % is marked. The last rows are shares of repeats in
which a finding was judged wrongly, and in which it could not be said.
"""

from __future__ import annotations

import argparse
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np

import false_alarms
from groundswell.characterize.engine import TOPICS
from groundswell.characterize.setting import Setting
from groundswell.stats.sample import Sample
from groundswell.table import Workload
from known_figures import cases

FEWEST = 0.90


def figures_of(workload: Workload, topic: str, setting: Setting) -> Any:
    """What a topic says of a workload."""
    return TOPICS[topic].of(workload, setting).finish(setting, Sample.of(workload).frame)


def one(number: int, seed: int) -> list[tuple[float, float, float]]:
    """The estimates of one draw of case ``number``: value, low, high."""
    case = cases()[number]
    workload = case.make(np.random.default_rng([seed, *case.name.encode()]))
    figures = figures_of(workload, case.topic, case.setting)
    found = (getter(figures) for _, _, getter in case.truths)
    return [(e.value, e.low, e.high) for e in found]


def coverage(pool: Executor, repeats: int, only: str) -> None:
    print(f"{'trace':<32}{'estimator':<22}{'truth':>9}{'mean':>9}{'known':>7}{'held':>8}   of {repeats} repeats")
    for number, case in enumerate(cases()):
        if only not in f"{case.name} {case.topic}":
            continue
        drawn = np.array(list(pool.map(partial(one, number), range(repeats), chunksize=5)))
        for (name, truth, _), column in zip(case.truths, np.moveaxis(drawn, 1, 0), strict=True):
            value, low, high = column.T
            known = np.isfinite(low) & np.isfinite(high)
            held = float(((low <= truth) & (truth <= high)).sum() / max(known.sum(), 1))
            mark = "  below" if held < FEWEST and known.any() else ""
            print(
                f"{case.name:<32}{name:<22}{truth:>9.4g}{np.mean(value):>9.4g}{known.mean():>7.0%}{held:>8.1%}{mark}",
                flush=True,
            )


def alarms(pool: Executor, repeats: int, only: str) -> None:
    print(f"\n{'wrongly judged':<60}{'share':>8}{'at most':>9}{'unsaid':>8}   of {repeats} repeats")
    for number, alarm in enumerate(false_alarms.ALARMS):
        if only not in alarm.name:
            continue
        said = list(pool.map(partial(false_alarms.verdict, number), range(repeats), chunksize=5))
        wrong, unsaid = said.count(alarm.wrong) / repeats, said.count("cannot be said") / repeats
        mark = "  above" if wrong > alarm.most else ""
        print(f"{alarm.name:<60}{wrong:>8.1%}{alarm.most:>9.0%}{unsaid:>8.1%}{mark}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--alarms", action="store_true", help="the false alarms alone")
    asked = parser.parse_args()
    # Polars has threads of its own, which a forked process would wait for in vain.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        if not asked.alarms:
            coverage(pool, asked.repeats, asked.only)
        alarms(pool, asked.repeats, asked.only)


if __name__ == "__main__":
    main()
