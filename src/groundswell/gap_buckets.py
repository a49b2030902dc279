"""The buckets in which gaps between tokens are counted: one up to 2⁻²⁰ s, then 64 to each doubling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_GAP_S = 2.0**-20
PER_DOUBLING = 64
LAST_BUCKET = 2**16 - 1


def gap_buckets(gap_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bucket of each gap.

    >>> gap_buckets(np.array([0.0, 2.0**-19.001, 2.0**-19])).tolist()
    [0, 64, 65]
    """
    above = np.log2(np.maximum(gap_s, LEAST_GAP_S) / LEAST_GAP_S) * PER_DOUBLING
    return np.where(gap_s <= LEAST_GAP_S, 0, np.minimum(above, LAST_BUCKET - 1).astype(np.int64) + 1)


def gap_of(bucket: Any, least_s: float = LEAST_GAP_S, per_doubling: float = PER_DOUBLING) -> NDArray[np.float64]:
    """The gap in the (geometric) middle of each bucket, in seconds."""
    return np.asarray(least_s * 2.0 ** ((np.asarray(bucket) - 0.5) / per_doubling))
