"""Is a composed workload right? Tables over the public pools: rates, counts, CVs, lengths, dependence, rare clients."""

from __future__ import annotations

import numpy as np
from scipy import stats

from common import POOLS, public_pool, table
from groundswell.clients import ClientPool
from groundswell.clients.client import Client, pool_of
from groundswell.compose import compose

START_S = 36_000.0


def realised_rate(pool: ClientPool, target: float) -> tuple[float, float]:
    """Realised over asked rate in half an hour: the mean and the spread of 20 seeds."""
    ratios = [
        sum(b.frame.height for b in compose(pool, target, 1800.0, seed, start_s=START_S)) / (1800.0 * target)
        for seed in range(20)
    ]
    return float(np.mean(ratios)), float(np.std(ratios))


def worst_count(pool: ClientPool, target: float) -> float:
    """The largest distance of a client's count in a window from its share."""
    made = compose(pool, target, 6000.0, 1, start_s=START_S)
    counts = np.zeros((len(made.clients), 10))
    for block in made:
        sender = block.frame["client"].to_physical().to_numpy()
        np.add.at(counts, (sender, (block.arrival_s // 600).astype(int)), 1)
    return float(np.abs(counts - made.planner.expected(0, 10).T).max())


def length_distance(pool: ClientPool) -> list[tuple[str, float]]:
    """Kolmogorov-Smirnov distance of a day's sampled fields from the rate-weighted mixture of the pool's tables."""
    made = compose(pool, 200.0, 3600.0, 1, start_s=START_S)
    frame = made.collect().frame
    slot = int(made.geometry.slot[0])
    weight = made.planner.expected(0, made.geometry.window.size).sum(axis=0)
    out = []
    for f, name in enumerate(made.renderer.source.fields[:2]):
        numbers = made.renderer.source.number[:, slot, f]
        drawn = np.sort(frame[name].to_numpy())
        cdf = np.zeros(drawn.size)
        for c, d in enumerate(numbers):
            values, p = made.pool.lengths.table(int(d))
            cdf += (
                weight[c]
                / weight.sum()
                * np.concatenate([[0.0], np.cumsum(p)])[np.searchsorted(values, drawn, side="right")]
            )
        last = np.append(np.flatnonzero(np.diff(drawn)), drawn.size - 1)
        out.append((name, float(np.abs((last + 1) / drawn.size - cdf[last]).max())))
    return out


def rank_correlation(pool: ClientPool, joint: str) -> float:
    """The median over clients of 500 requests and more of Spearman's correlation of input and output within a
    client.
    """
    frame = compose(pool, 200.0, 600.0, 1, start_s=START_S, joint=joint).collect().frame
    values = [
        float(stats.spearmanr(part["input_tokens"], part["output_tokens"]).statistic)
        for part in frame.partition_by("client")
        if part.height >= 500 and part["input_tokens"].n_unique() > 10 and part["output_tokens"].n_unique() > 10
    ]
    return float(np.median(values))


def cv_error(family: str, cv: float) -> tuple[float, float]:
    """Realised over asked CV of streams of 6,000 requests: mean of 200 windows, and spread of one."""
    lengths = {"input_tokens": 1, "output_tokens": 1}
    pool = pool_of([Client("one", 10.0, f"{family}:cv={cv}", lengths)], span_s=200 * 600.0)
    arrival_s = compose(pool, seed=3, counts="measured").collect().arrival_s
    parts = np.split(arrival_s, np.searchsorted(arrival_s, 600.0 * np.arange(1, 200)))
    cvs = np.array([np.diff(x).std() / np.diff(x).mean() for x in parts])
    return float(cvs.mean() / cv), float(cvs.std() / cv)


def main() -> None:
    pools = {name: public_pool(name) for name in POOLS}
    print("Realised / asked total rate, mean of 20 seeds (and spread of one), 30 minutes\n")
    targets = [0.5, 1.0, 10.0, 100.0, 1000.0]
    table(
        ["pool", *map(str, targets)],
        [(n, *("{:.4f} ({:.4f})".format(*realised_rate(p, t)) for t in targets)) for n, p in pools.items()],
    )
    print("Largest distance of a client's count in a window from its share, 100 req/s, 10 windows; below 1\n")
    table(["pool", "distance"], [(n, worst_count(p, 100.0)) for n, p in pools.items()])
    print("Kolmogorov-Smirnov distance of sampled lengths from the pool's; below 0.02\n")
    table(["pool", "input", "output"], [(n, *(d for _, d in length_distance(p))) for n, p in pools.items()])
    print("Spearman's correlation of input and output within a client, median over clients\n")
    joints = ["independent", "rank:0.5", "comonotone"]
    table(["pool", *joints], [(n, *(rank_correlation(p, j) for j in joints)) for n, p in pools.items()])
    print("Realised / asked CV of measured windows of 6,000 requests: mean of 200 (spread of one)\n")
    cvs = [0.5, 1.0, 1.5, 2.0, 3.0, 5.0]
    table(
        ["family", *map(str, cvs)],
        [(f, *("{:.3f} ({:.3f})".format(*cv_error(f, cv)) for cv in cvs)) for f in ("gamma", "weibull")],
    )
    lengths = {"input_tokens": 1, "output_tokens": 1}
    rare = pool_of([Client(f"client-{i}", 1 / 3600, "gamma:cv=2", lengths) for i in range(100)], span_s=1200.0)
    totals = [len(compose(rare, seed=seed).collect().frame) for seed in range(200)]
    error = np.std(totals) / np.sqrt(len(totals))
    print("100 clients at one request an hour, twenty minutes; 33.33 requests expected")
    print(f"{np.mean(totals):.2f} ± {error:.2f}, mean of 200 seeds")


if __name__ == "__main__":
    main()
