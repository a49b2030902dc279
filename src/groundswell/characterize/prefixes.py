"""What prompts share with earlier ones, by the ids of their blocks: hits, reuse distances, popularity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import words
from groundswell.characterize._reuse import Requests, Reuse
from groundswell.characterize._stack import HITS, SAME_CLIENT, SAME_TALK, distance_edges, seconds_edges
from groundswell.characterize.figures import PrefixFigures
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import BatchSums
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, Floats
from groundswell.table import Workload

POINTS = 200
"""As many points has a curve at most."""
_LONGEST = 2**16
_NO_CLIENTS = (np.iinfo(np.uint32).max, 0)


@dataclass(frozen=True, eq=False)
class Fold:
    """The prefix blocks of a stream's requests. ``a + b`` is exact while all blocks are followed.

    Ids are taken to stand for a block and all before it, as those of Mooncake and of servers' caches do: of a request's
    blocks, those seen before come first.
    """

    reuse: Reuse = field(default_factory=Reuse)
    references: BatchSums = field(default_factory=BatchSums)
    """How many blocks were referred to."""
    longer: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """How many requests have more than j blocks; of the longest, the first 65,536 count."""
    requests: int = 0
    clients: tuple[int, int] = _NO_CLIENTS
    """The least and the greatest client."""
    talks: bool = False
    """Whether the trace names conversations."""

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """The prefix blocks of one block of requests."""
        if not len(block) or "prefix_blocks" not in block.frame.columns:
            return cls()
        requests = _requests(block)
        count = np.diff(requests.ends, prepend=0)
        many = np.bincount(np.minimum(count, _LONGEST))
        code = block.client_code
        return cls(
            Reuse.of(requests),
            BatchSums.of(block.arrival_s, [count]),
            many[::-1].cumsum()[::-1][1:],
            len(block),
            (int(code.min()), int(code.max())),
            "conversation" in block.frame.columns,
        )

    def __add__(self, later: Fold) -> Fold:
        if not self.requests or not later.requests:
            return later if not self.requests else self
        short, longer = sorted((self.longer, later.longer), key=len)
        return Fold(
            self.reuse + later.reuse,
            self.references + later.references,
            longer + np.pad(short, (0, longer.size - short.size)),
            self.requests + later.requests,
            (min(self.clients[0], later.clients[0]), max(self.clients[1], later.clients[1])),
            self.talks or later.talks,
        )

    def finish(self, setting: Setting, sample: pl.DataFrame) -> PrefixFigures | None:
        """The figures; None where no request has blocks."""
        if not self.longer.size:
            return None
        table = self.reuse.table
        scale = 2.0**self.reuse.level
        blocks = int(self.references.total[0])
        return PrefixFigures(
            block_tokens=setting.block_tokens,
            blocks=blocks,
            distinct=round(table.size * scale),
            sampled=1.0 / scale,
            ideal_hit_rate=_ideal(self.references, table["first_s"], scale, blocks),
            hit_rate=_hit_rate(self.reuse, scale, blocks),
            reuse_s=_cdf(self.reuse.seconds, seconds_edges()),
            reuse_blocks=_cdf(self.reuse.distances, distance_edges()),
            within_conversation=_within(self.reuse, SAME_TALK) if self.talks else Estimate(),
            within_client=_within(self.reuse, SAME_CLIENT) if self.clients[0] < self.clients[1] else Estimate(),
            popular=_popular(table["count"], scale),
            shared_tokens=_shared(self.longer, table["place"], scale, self.requests, setting.block_tokens),
        )


def _requests(block: Workload) -> Requests:
    lists = block.frame["prefix_blocks"]
    count = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    n = len(block)
    talk = np.zeros(n, np.uint64)
    if "conversation" in block.frame.columns:
        named = block.frame["conversation"]
        # A hash, and odd, so that no conversation is 0.
        talk = (words(named.fill_null(0).to_numpy().view(np.uint64), 0) | np.uint64(1)) * named.is_not_null().to_numpy()
    return Requests(
        lists.explode(empty_as_null=False, keep_nulls=False).to_numpy(),
        np.cumsum(count),
        np.zeros(n, np.int32),
        block.arrival_s,
        talk,
        block.client_code,
    )


def _ideal(references: BatchSums, first_s: Floats, scale: float, blocks: int) -> Estimate:
    """Misses are first references. Counting these, and not the hits, leaves the most popular blocks no weight."""
    none = np.zeros(first_s.size)
    misses = BatchSums.of(first_s, [none, none + scale])
    sums = BatchSums(references.width_s, references.first, np.pad(references.sums, ((0, 0), (0, 1)))) + misses
    return sums.estimate(lambda s: np.clip(1.0 - s[..., 1] / s[..., 0], 0.0, 1.0), n=blocks)


def _hit_rate(reuse: Reuse, scale: float, blocks: int) -> Curve:
    """The share of references whose distance is less than the size, at sizes where a bucket of distances begins."""
    hits, edges = reuse.distances, distance_edges()
    distinct = reuse.table.size * scale
    last = int(np.searchsorted(edges, distinct))  # no distance reaches the number of blocks
    whole = np.flatnonzero((edges[:last] >= scale) & (edges[:last] % 1.0 == 0.0))
    at = np.append(whole, last)[_spread(np.append(edges[whole], distinct))]
    misses = distinct + hits.sum() - np.append(0.0, hits.cumsum())[at]
    y = np.clip(1.0 - misses / blocks, 0.0, 1.0)
    return Curve(np.append(edges[at[:-1]], distinct), y)


def _cdf(count: Floats, edges: Floats) -> Curve:
    """The share below the end of each bucket."""
    filled = np.flatnonzero(count)
    if not filled.size:
        return Curve()
    within = slice(filled[0], filled[-1] + 1)
    x: Floats = np.append(edges, np.inf)[1:][within]
    share = np.asarray(count[within].cumsum() / count.sum(), np.float64)
    at = _spread(x)
    return Curve(x[at], share[at])


def _within(reuse: Reuse, kind: int) -> Estimate:
    """Of the hits, those of a kind."""
    hits = round(float(reuse.distances.sum()))
    return reuse.shares.estimate(lambda s: s[..., kind] / s[..., HITS], n=hits)


def _popular(count: NDArray[np.int64], scale: float) -> Curve:
    share: Floats = np.sort(count)[::-1].cumsum() / float(count.sum())
    most: Floats = np.arange(1, count.size + 1) * np.float64(scale)
    at = _spread(most)
    return Curve(most[at], share[at])


def _shared(longer: NDArray[np.int64], place: NDArray[np.int32], scale: float, requests: int, tokens: int) -> Curve:
    """A request shares more than j blocks if its block number j was seen before: if that is no first reference."""
    misses = np.bincount(np.minimum(place, longer.size - 1), minlength=longer.size) * scale
    more = np.minimum.accumulate(np.clip((longer - misses) / requests, 0.0, 1.0))
    upto = np.append(1.0 - more, 1.0)
    at = _spread(np.arange(1.0, upto.size + 1))
    return Curve(np.asarray(at * tokens, np.float64), upto[at])


def _spread(x: Any) -> NDArray[np.int64]:
    """Up to ``POINTS`` places in rising ``x`` > 0, from the first to the last, in steps of equal ratio."""
    if len(x) <= POINTS:
        return np.arange(len(x))
    wanted = np.geomspace(max(x[0], 1e-9), x[-1], POINTS)
    return np.unique(np.append(np.minimum(np.searchsorted(x, wanted), len(x) - 1), [0, len(x) - 1]))
