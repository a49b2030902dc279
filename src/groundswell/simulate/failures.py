"""Failures of instances, drawn before anything runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundswell.chance import stream_key, uniforms
from groundswell.errors import UsageError
from groundswell.simulate.parts import Outage


def drawn_outages(instances: int, mtbf_s: float, mttr_s: float, span_s: float, seed: int) -> tuple[Outage, ...]:
    """The outages of each of ``instances`` that begin within ``span_s``: it is up for a time whose mean is ``mtbf_s``
    and down for one whose mean is ``mttr_s``, both exponential, in turn.

    Each instance has numbers of its own, so that one more does not change when the others fail.
    """
    for name, mean_s in (("between failures", mtbf_s), ("to repair", mttr_s)):
        if not 0 < mean_s < np.inf:
            raise UsageError(f"the mean time {name} must be above 0, not {mean_s:g} s")
    return tuple(
        Outage(at_s, i, down_s) for i in range(instances) for at_s, down_s in _of(i, mtbf_s, mttr_s, span_s, seed)
    )


def _of(instance: int, mtbf_s: float, mttr_s: float, span_s: float, seed: int) -> list[tuple[float, float]]:
    key = stream_key(seed, "failures", instance)
    size = 16 + 2 * int(span_s / (mtbf_s + mttr_s))
    while True:
        up_s, down_s = (_exponential(key, np.arange(k, 2 * size, 2), mean) for k, mean in ((0, mtbf_s), (1, mttr_s)))
        at_s = np.cumsum(up_s + down_s) - down_s
        if at_s[-1] >= span_s:
            within = at_s < span_s
            return list(zip(at_s[within].tolist(), down_s[within].tolist(), strict=True))
        size *= 2


def _exponential(key: int, index: NDArray[np.int64], mean_s: float) -> NDArray[np.float64]:
    return np.asarray(-mean_s * np.log(uniforms(key, index)))
