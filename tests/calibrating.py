"""Runs of known engines, for what is fitted to them."""

from __future__ import annotations

import numpy as np

from groundswell.results import Results
from groundswell.simulate.cost import Profile, profile_of
from groundswell.simulate.fleet import simulate
from groundswell.simulate.parts import Fleet, Pool
from groundswell.table import Workload

BASE = profile_of("qwen2.5-14b", "a100", 2)


def asked(n: int, rate_per_s: float, seed: int = 3) -> Workload:
    """Lengths as in chats."""
    rng = np.random.default_rng(seed)
    prompt = rng.lognormal(6.3, 0.9, n).clip(8, 6000).astype(np.int32)
    reply = rng.lognormal(5.0, 0.7, n).clip(2, 1500).astype(np.int32)
    arrival_s = np.cumsum(rng.exponential(1 / rate_per_s, n))
    return Workload.from_columns(arrival_s, np.zeros(n, np.uint32), ("c",), prompt, reply)


def run_of(profile: Profile, n: int = 300, rate_per_s: float = 4.0, seed: int = 3) -> Results:
    """What comes of requests on an engine with such a profile."""
    return simulate(asked(n, rate_per_s, seed), Fleet((Pool(profile.configured(), 1),)))
