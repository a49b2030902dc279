"""Requests that follow on one another: turns, the time between them, growth, and how bursty they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from groundswell.characterize._followed import Followed, Stretches, lots
from groundswell.characterize._kinds import burstiness
from groundswell.characterize._prefix_sessions import Prompts, Sessions
from groundswell.characterize._talks import Spread, Talks, by_turn, cdf, turn_counts
from groundswell.characterize.figures import ConversationFigures
from groundswell.characterize.setting import Setting
from groundswell.stats.batches import BatchSums
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Fit, Floats, fit
from groundswell.table import Workload

_AT_ONCE = 2**20
"""When so many prefix blocks have come together, they are looked at."""
_FITTED = 2**17
"""A distribution is fitted to so many gaps at most, evenly chosen."""


@dataclass(frozen=True, eq=False)
class Fold:
    """What is remembered of a stream's conversations: exact up to a million rows, then fair parts
    (:mod:`groundswell.characterize._followed`).

    Where they are inferred from prefixes, that is done from left to right, so the right one of two summands should be
    small: of one with more than a million blocks, no conversation goes on from the left one.
    """

    source: str = ""
    followed: Followed = field(default_factory=Followed)
    stretches: Stretches = field(default_factory=Stretches)
    requests: BatchSums = field(default_factory=BatchSums)
    """All requests, and those that belong to no conversation."""
    sessions: Sessions | None = None
    waiting: tuple[tuple[Prompts, pl.DataFrame], ...] = ()
    """Requests whose conversations are not inferred yet."""

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Fold:
        """The conversations of one block."""
        if not len(block):
            return cls()
        if "conversation" in block.frame.columns:
            names = block.frame["conversation"]
            lot = pl.Series("lot", lots(names.fill_null(0).to_numpy()))
            return cls("ids")._with(_rows(block).with_columns(pl.when(names.is_not_null()).then(lot)), setting.window_s)
        if "prefix_blocks" in block.frame.columns:
            waiting = ((_prompts(block, setting.block_tokens), _rows(block)),)
            return cls("prefixes", stretches=Stretches(setting.window_s), waiting=waiting)
        return cls()

    def __add__(self, later: Fold) -> Fold:
        if not self.source or not later.source:
            return later if not self.source else self
        if later.sessions is None:
            whole = replace(self, waiting=self.waiting + later.waiting)
        else:
            whole = replace(self._linked(), sessions=later.sessions, waiting=later.waiting)
        whole = replace(
            whole,
            followed=whole.followed + later.followed,
            stretches=whole.stretches + later.stretches,
            requests=whole.requests + later.requests,
        )
        return whole._linked() if sum(prompts.ids.size for prompts, _ in whole.waiting) > _AT_ONCE else whole

    def _with(self, rows: pl.DataFrame, window_s: float) -> Fold:
        """This and some rows whose ``lot`` says their conversation."""
        alone = rows["lot"].is_null()
        at_s = rows["arrival_s"].to_numpy()
        return replace(
            self,
            followed=self.followed + Followed.of(rows.filter(~alone)),
            stretches=self.stretches + Stretches.of(rows.select("arrival_s", "lot"), window_s),
            requests=self.requests + BatchSums.of(at_s, [np.ones(at_s.size), alone.to_numpy()]),
        )

    def _linked(self) -> Fold:
        """The same without anything that waits."""
        if not self.waiting:
            return self
        prompts = Prompts.concat([prompts for prompts, _ in self.waiting])
        sessions, talk = (self.sessions or Sessions()).after(prompts)
        lot = pl.Series("lot", talk)
        rows = pl.concat([rows for _, rows in self.waiting]).with_columns(pl.when(lot != 0).then(lot))
        return replace(self, sessions=sessions, waiting=())._with(rows, self.stretches.window_s)

    def finish(self, setting: Setting, sample: pl.DataFrame) -> ConversationFigures | None:
        """The figures; None where no request belongs to a conversation."""
        whole = self._linked()
        followed, stretches = whole.followed.settled(), whole.stretches.settled()
        if not followed.parts or not followed.parts[0].height:
            return None
        talks, scale = Talks.of(followed.parts[0]), 2.0**followed.level
        alone = float(whole.requests.total[1])
        many = talks.requests > 1
        turn, talk = talks.pairs
        gap = np.asarray(talks.arrival_s[turn + 1] - talks.arrival_s[turn])
        gaps = Spread.of(gap, talks.start_s[talk])
        added = talks.input_tokens[turn + 1] - talks.input_tokens[turn]
        count = np.bincount(talk, minlength=many.size)
        growth = talks.batches([count, np.bincount(talk, added, many.size)])
        turns = talks.batches([many, many * talks.requests])
        of_many = np.repeat(many, np.diff(talks.begin, append=talks.turn.size))
        return ConversationFigures(
            source=self.source,
            conversations=round(talks.lot.size * scale + alone),
            sampled=1.0 / scale,
            multi_turn_share=_multi_turn_share(whole.requests, talks),
            mean_turns=turns.estimate(lambda s: s[..., 1] / s[..., 0], n=int(many.sum())),
            turns=turn_counts(talks.requests, alone, scale),
            gap=cdf(gaps.ordered),
            gap_p50=gaps.quantile(0.5),
            gap_p90=gaps.quantile(0.9),
            gap_by_turn=by_turn(talks.turn[turn], gap),
            gap_lognormal=_lognormal(gaps.ordered),
            think=cdf(np.sort(talks.think_s)),
            growth=by_turn(talks.turn[of_many], talks.input_tokens[of_many]),
            growth_per_turn=growth.estimate(lambda s: s[..., 1] / s[..., 0], n=gap.size),
            **burstiness(stretches, talks, setting.window_s),
        )


def _rows(block: Workload) -> pl.DataFrame:
    wanted = ("arrival_s", "input_tokens", "turn", "think_s")
    return block.frame.select(name for name in wanted if name in block.frame.columns)


def _prompts(block: Workload, block_tokens: int) -> Prompts:
    lists = block.frame["prefix_blocks"]
    return Prompts(
        lists.explode(empty_as_null=False, keep_nulls=False).to_numpy(),
        np.cumsum(lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()),
        block.arrival_s,
        block.input_tokens,
        block_tokens,
    )


def _multi_turn_share(requests: BatchSums, talks: Talks) -> Estimate:
    """The share of multi-turn requests among those of conversations, times the share of these."""
    named = talks.batches(
        [0 * talks.requests, 0 * talks.requests, talks.requests, talks.requests * (talks.requests > 1)]
    )
    sums = BatchSums(requests.width_s, requests.first, np.pad(requests.sums, ((0, 0), (0, 2)))) + named
    return sums.estimate(lambda s: (1.0 - s[..., 1] / s[..., 0]) * s[..., 3] / s[..., 2], n=int(requests.total[0]))


def _lognormal(gap: Floats) -> Fit | None:
    some = gap[gap > 0]
    some = some[:: -(-some.size // _FITTED) or 1]
    found = fit(some, ["lognormal"], curve_at=cdf(some).x) if some.size > 1 else ()
    return found[0] if found else None
