"""Families told apart, mixtures recovered and modes counted, on samples whose law is known.

    python benchmarks/families.py [--repeats 100]

First: of samples of 2,000 gaps from each family, how often each family has the least AIC, and how often the bootstrap
rejects the true one at 5 %. Then the parameters of ServeGen's mixture, recovered from 20,000 lengths. Then how often
the dip test rejects one mode, where there is one and where there are two.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np

from common import machine, table
from groundswell.stats.dip import dip_test
from groundswell.stats.fits import fit

N = 2_000
FAMILIES = ("exponential", "gamma", "weibull", "lognormal", "pareto")
LAWS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "exponential": lambda r, n: r.exponential(1.0, n),
    "gamma": lambda r, n: r.gamma(0.25, 4.0, n),  # CV 2
    "weibull": lambda r, n: r.weibull(0.5427, n),  # CV 2
    "lognormal": lambda r, n: r.lognormal(0.0, np.sqrt(np.log(5.0)), n),  # CV 2
    "pareto": lambda r, n: r.pareto(2.5, n) + 1.0,
}


def told_apart(repeats: int) -> None:
    rows = []
    for name, draw in LAWS.items():
        best: Counter[str] = Counter()
        rejected = 0
        for seed in range(repeats):
            fits = fit(draw(np.random.default_rng([seed, 1]), N), FAMILIES, replicates=99, seed=seed)
            best[fits[0].family] += 1
            rejected += next(f for f in fits if f.family == name).p < 0.05
        rows.append([name, *(f"{best[family] / repeats:.0%}" for family in FAMILIES), f"{rejected / repeats:.0%}"])
    table([f"drawn from, n = {N:,}", *(f"{family} best" for family in FAMILIES), "true one rejected"], rows)


def mixture(repeats: int) -> None:
    weight, mu, sigma, shape, least = 0.3, 6.0, 0.8, 1.5, 2_000.0
    found = []
    for seed in range(repeats):
        random = np.random.default_rng([seed, 2])
        n = 20_000
        tail = random.random(n) < weight
        values = np.where(tail, least * (random.pareto(shape, n) + 1.0), random.lognormal(mu, sigma, n))
        found.append(fit(values, ("pareto+lognormal",), seed=seed)[0].parameters)
    names = list(found[0])
    columns = {name: np.array([parameters[name] for parameters in found]) for name in names}
    print(f"truth: weight of the tail {weight}, mu {mu}, sigma {sigma}, shape {shape}, least {least:g}")
    rows = [[name, float(v.mean()), float(v.std())] for name, v in columns.items()]
    table(["parameter of the fit, 20,000 lengths", "mean", "standard deviation"], rows)


def modes(repeats: int) -> None:
    laws: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
        "one mode: normal": lambda r: r.normal(size=N),
        "one mode: exponential": lambda r: r.exponential(size=N),
        "two modes, 2 standard deviations apart": lambda r: r.normal(size=N) + 2.0 * (r.random(N) < 0.5),
        "two modes, 3 apart": lambda r: r.normal(size=N) + 3.0 * (r.random(N) < 0.5),
        "two modes, 4 apart": lambda r: r.normal(size=N) + 4.0 * (r.random(N) < 0.5),
    }
    rows = []
    for name, draw in laws.items():
        rejected = [dip_test(draw(np.random.default_rng([seed, 3]))).p < 0.05 for seed in range(repeats)]
        rows.append([name, f"{np.mean(rejected):.0%}"])
    table([f"drawn from, n = {N:,}", "one mode rejected at 5 %"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    print(f"{repeats} repeats, {machine()}\n")
    told_apart(repeats)
    mixture(max(repeats // 4, 5))
    modes(repeats)


if __name__ == "__main__":
    main()
