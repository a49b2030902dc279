"""Composed conversations: how fast they are composed, and what was asked against what the characterization finds.

    python benchmarks/conversations.py            both tables
    python benchmarks/conversations.py speed      the first alone

The reference for speed is the same pool without conversations, and ServeGen's published method as we read it
(benchmarks/common.py), which has none; each measurement runs in a process of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

from common import machine, published_method, table
from groundswell.characterize.engine import characterize
from groundswell.characterize.setting import Setting
from groundswell.clients import ClientPool
from groundswell.clients.client import Client, pool_of
from groundswell.compose import Talking, compose
from groundswell.lengths import length_of
from groundswell.service import TPOT_S, TTFT_S

PLAIN = {"input_tokens": "lognormal:mean=2000,cv=1.5", "output_tokens": "exponential:mean=200"}
TURNS = {1: 0.6, 2: 0.15, 3: 0.1, 4: 0.1, 8: 0.05}
THINK = "lognormal:mean=60000,cv=1.5"
NEW = "lognormal:mean=60,cv=1"
CHAT = {
    **PLAIN,
    "turns": f"empirical:values=({','.join(map(str, TURNS))}),weights=({','.join(map(str, TURNS.values()))})",
    "think_ms": THINK,
    "new_tokens": NEW,
    "shared_tokens": "templates:count=4,tokens=(lognormal:mean=900,cv=0.6),popularity=1.1,share=0.8",
}
CLIENTS, RATE_PER_S, SPAN_S = 25, 5000.0, 3600.0


def pool(laws: dict[str, str], rate_per_s: float, span_s: float) -> ClientPool:
    clients = [Client(f"client-{i}", rate_per_s / CLIENTS, "gamma:cv=2", laws) for i in range(CLIENTS)]
    return pool_of(clients, span_s)


def asked_and_found() -> None:
    span_s, rate = 6 * 3600.0, 50.0
    composition = compose(pool(CHAT, rate, span_s), seed=1)
    found = characterize(composition, Setting()).conversations
    assert found is not None
    turns, share = np.array(list(TURNS)), np.array(list(TURNS.values()))
    many = turns > 1
    value, mass = length_of(THINK).atoms()
    rng = np.random.default_rng(0)
    gaps = TTFT_S + TPOT_S * rng.exponential(200, 10**6) + rng.choice(value, 10**6, p=mass) / 1000
    rows = [
        ("multi-turn share of requests", (turns * share)[many].sum() / (turns * share).sum(), found.multi_turn_share),
        ("turns of those conversations", (turns * share)[many].sum() / share[many].sum(), found.mean_turns),
        ("time between turns, median, s", float(np.median(gaps)), found.gap_p50),
        ("time between turns, p90, s", float(np.quantile(gaps, 0.9)), found.gap_p90),
        ("growth of the prompt a turn, tokens", 200 + length_of(NEW).mean, found.growth_per_turn),
    ]
    print(f"{composition.expected_requests:,.0f} requests of {CLIENTS} clients in six hours, {rate:g}/s\n")
    table(
        ("figure", "asked", "found", "95 % interval"),
        [(name, float(law), e.value, f"{e.low:.4g} to {e.high:.4g}") for name, law, e in rows],
    )


def speed(what: str) -> None:
    """Print requests, seconds and the peak memory in MB of one measurement, as JSON."""
    if what == "published":
        begin = time.perf_counter()
        rows = len(published_method(pool(PLAIN, 200.0, SPAN_S), 200.0, 1))
        seconds = time.perf_counter() - begin
    else:
        hours = 4 if what == "long" else 1
        laws = PLAIN if what == "plain" else CHAT
        talking = Talking(block_tokens=0 if what == "turns" else 16)
        composition = compose(pool(laws, RATE_PER_S, hours * SPAN_S), seed=1, talking=talking)
        sum(len(block) for block in compose(pool(laws, 500.0, 600.0), seed=2, talking=talking))  # kernels are loaded
        begin = time.perf_counter()
        rows = sum(len(block) for block in composition)
        seconds = time.perf_counter() - begin
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "s": seconds, "peak_mb": peak_mb}))


def speeds() -> None:
    names = {
        "published": "ServeGen's published method, no conversations",
        "plain": "no conversations",
        "turns": "conversations",
        "blocks": "conversations and prefix blocks of 16 tokens",
        "long": "the same for four hours",
    }
    made = {}
    for what in names:
        command = [sys.executable, __file__, "measure", what]
        made[what] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    slowest = made["published"]["rows"] / made["published"]["s"]
    rows = []
    for what, name in names.items():
        per_s = made[what]["rows"] / made[what]["s"]
        rows.append(
            (name, f"{made[what]['rows']:,}", f"{per_s / 1e6:.3g}", per_s / slowest, round(made[what]["peak_mb"]))
        )
    table(("workload", "requests", "M requests/s", "ratio", "peak MB"), rows)


def main() -> None:
    print(machine() + "\n")
    speeds()  # first, as a process's peak memory is at least that of the one which started it
    if sys.argv[1:] != ["speed"]:
        asked_and_found()


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        speed(sys.argv[2])
    else:
        main()
