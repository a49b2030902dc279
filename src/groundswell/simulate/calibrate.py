"""A profile fitted to a run: what a host adds to steps, and how much faster or slower kernels are than was thought."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.results import Results
from groundswell.simulate.cost import Profile
from groundswell.simulate.least import Search
from groundswell.simulate.misfit import Misfit, Times
from groundswell.simulate.observed import Observed
from groundswell.simulate.parts import Engine

Floats = NDArray[np.float64]

SEEN = 0.5
"""The share of the requests that a profile is fitted to: the first ones. The others tell how good it is."""
REQUESTS_A_KNOB = 15


@dataclass(frozen=True)
class Knob:
    """Something that can be fitted: ``usual`` is how far it is off, as a rule, and ``far`` how far at most (0 where it
    is not known to be far off). Fewer than ``fewest`` requests say nothing of it."""

    name: str
    usual: float
    far: float = 0.0
    fewest: int = 0


KNOBS = (
    Knob("overhead_s", 1e-3, far=1.0),
    Knob("scale", 0.05, far=3.0),
    Knob("prompt_host_s", 20e-3, far=0.2, fewest=40),
    Knob("mixed_share", 0.5, fewest=80),
)
"""The host's part of any step; the logarithm of how much longer the kernels take; what a step that reads prompts takes
at least, beyond what any step takes, as the host launches its kernels while they run; and what more a token of context
takes where prompts share the step, as a share of what it takes alone."""


@dataclass(frozen=True)
class Errors:
    """By how much a simulation is off, as shares of what was observed: -0.02 is 2 % too little."""

    requests: int
    mean_tpot: float
    mean_e2e: float
    mean_ttft: float
    p99_ttft: float


@dataclass(frozen=True)
class Calibrated:
    """What came of a calibration."""

    profile: Profile
    """With what was fitted; its ``error`` is still the kernels'."""
    moved: dict[str, float]
    """How far :data:`KNOBS` were moved; those that are not there were left alone."""
    seen: Errors
    """On the requests that it was fitted to,"""
    unseen: Errors
    """and on the others."""
    before: Errors
    """On the others, of the profile as it was."""
    left_out: int
    """Requests that failed."""
    cached: float
    """The share of prompt tokens that came from the server's prefix cache, which the simulation does not have."""


def calibrate(results: Results, profile: Profile, engine: Engine, seen: float = SEEN) -> Calibrated:
    """``profile`` fitted to the first part of a replayed run on one instance, and how far it is off on the rest.

    All requests are simulated as they came, on an engine that is set as ``engine``, whose steps take what the profile
    says; :data:`KNOBS` are moved so that means of TTFT, TPOT and latency of the first requests, and gaps between tokens
    where these were kept, come near to what they were (:class:`groundswell.simulate.misfit.Misfit`). Few requests move
    few of them, and none is moved that is not worth it (:class:`groundswell.simulate.least.Search`).

    Raises DataError where too few requests ended well, UsageError where the engine cannot have served them.
    """
    if not 0.0 < seen < 1.0:
        raise UsageError(f"a profile is fitted to a share of the requests, above 0 and below 1, not to {seen:g}")
    observed = Observed.of(results)
    first = min(max(round(seen * len(observed)), 1), len(observed) - 1)
    misfit = Misfit.of(observed, engine, first)
    real = misfit.real()
    free = [knob for knob in KNOBS if first >= knob.fewest]
    usual = np.array([knob.usual for knob in free])

    def moved(x: Floats) -> dict[str, float]:
        return {knob.name: float(by) for knob, by in zip(free, x * usual, strict=True) if by}

    def off(x: Floats) -> Floats:
        return misfit.off(real, misfit.expected(turned(profile, moved(x)).cost))

    far = np.array([knob.far for knob in free]) / usual
    best = moved(Search(off, far).least(max(first // REQUESTS_A_KNOB, 1)))
    new = replace(turned(profile, best), source=_source(profile, first))
    before, after = misfit.simulated(profile.cost), misfit.simulated(new.cost)
    rest = slice(first, None)
    return Calibrated(
        profile=new,
        moved=best,
        seen=errors_of(real, after, slice(0, first)),
        unseen=errors_of(real, after, rest),
        before=errors_of(real, before, rest),
        left_out=observed.left_out,
        cached=observed.cached,
    )


def compared(results: Results, profile: Profile, engine: Engine) -> Errors:
    """How far a profile is off on a run that it knows nothing of. Raises as :func:`calibrate` does."""
    observed = Observed.of(results)
    misfit = Misfit.of(observed, engine, len(observed))
    return errors_of(misfit.real(), misfit.simulated(profile.cost), slice(None))


def turned(profile: Profile, moved: dict[str, float]) -> Profile:
    """The profile with some of :data:`KNOBS` moved. What would be less than nothing is nothing."""
    by = {knob.name: 0.0 for knob in KNOBS} | moved
    old, scale = profile.kernels, float(np.exp(by["scale"]))
    timed = ("c0_s", "token_s", "hinge_s", "decode_s", "context_s", "prefill_s", "mixed_s", "prompt_s")
    kernels = replace(old, **{name: getattr(old, name) * scale for name in timed})
    overhead_s = max(profile.overhead_s + by["overhead_s"], min(profile.overhead_s, 0.0))
    any_s = kernels.c0_s + overhead_s
    least_s = max(profile.prompt_host_s, any_s) + by["prompt_host_s"]
    return replace(
        profile,
        kernels=replace(kernels, mixed_s=max(kernels.mixed_s + by["mixed_share"] * kernels.context_s, 0.0)),
        overhead_s=overhead_s,
        prompt_host_s=least_s if least_s > any_s else 0.0,
    )


def errors_of(real: Times, simulated: Times, rows: slice) -> Errors:
    """Of a simulation, on some of the requests; nan where nothing is known."""

    def off(name: str, p99: bool = False) -> float:
        ours, theirs = (getattr(times, name)[rows] for times in (simulated, real))
        known = np.isfinite(ours) & np.isfinite(theirs)
        if not known.any():
            return float("nan")
        ours, theirs = (np.quantile(x[known], 0.99) if p99 else x[known].mean() for x in (ours, theirs))
        return float(ours / theirs - 1.0)

    return Errors(real.ttft_s[rows].size, off("tpot_s"), off("e2e_s"), off("ttft_s"), off("ttft_s", p99=True))


def _source(profile: Profile, requests: int) -> str:
    said = f"{profile.source}; " if profile.source else ""
    return f"{said}fitted to {requests} requests of a run"
