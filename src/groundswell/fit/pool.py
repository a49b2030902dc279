"""From a fold to a pool: who sends, how much in each window and how evenly, and how long requests are in each slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.characterize.setting import DAY_S
from groundswell.clients import ClientPool
from groundswell.clients.cover import covered_parts, covered_span, covering
from groundswell.clients.names import distinct
from groundswell.compose.shapes import WELL_BELOW
from groundswell.errors import UsageError
from groundswell.fit.cells import Cells
from groundswell.fit.cover import span_of
from groundswell.fit.families import FAMILIES, GAMMA, choose
from groundswell.fit.fold import Fold
from groundswell.fit.laws import lines_of
from groundswell.fit.likeness import Roster, enrol, traits_of
from groundswell.fit.linking import Linker
from groundswell.fit.sessions import Recorded, recorded
from groundswell.fit.setting import FitSetting, Grid
from groundswell.fit.sharing import spread, stretches
from groundswell.fit.tables import Lengths, build
from groundswell.table import BLOCK_SIZE_KEY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_CELLS = 10**8
"""Of senders times windows: some 2 GB in a pool."""
_LEAST_CV = 1e-3


@dataclass(frozen=True, eq=False)
class Assembled:
    """The pool, and what it was made of."""

    pool: ClientPool
    roster: Roster
    lengths: Lengths
    own: Cells
    """The windows of the trace's clients, by client."""
    gaps: Cells
    """The windows of the senders, by sender."""
    requests: Ints
    """Of each sender and window, as the trace has them: [P, W]."""
    sent: Floats
    """The same, as the pool has them."""
    talks: Recorded | None
    """The conversations that were found, which the pool has whole, as laws or, if too few share them, not at all."""


def assemble(fold: Fold, setting: FitSetting, grid: Grid, origin: dict[str, Any], linker: Linker) -> Assembled:
    """The pool of a folded trace, with the conversations that ``linker`` saw in it."""
    cells = fold.all_cells
    low, high = int(cells.window.min()), int(cells.window.max())
    windows = high - low + 1
    roster = enrol(fold.requests, _traits(fold, cells, grid), setting.few, setting.min_group)
    if len(roster) * windows > MOST_CELLS:
        raise UsageError(
            f"{len(roster):,} clients over {windows:,} windows of {setting.window_s:g} s are too many for a pool; "
            "take a longer window, or pool more of the clients with a larger min-requests"
        )
    start_s = float(grid.start_s(low))
    first_slot = int(np.floor(start_s / setting.slot_s + 1e-9))  # no window's middle may lie in it
    slot = grid.slot(np.arange(low, high + 1)) - first_slot
    requests = np.zeros((len(roster), windows), np.int64)
    np.add.at(requests, (roster.of[cells.client], cells.window - low), cells.requests.astype(np.int64))
    by_slot = np.zeros((len(roster), int(slot[-1]) + 1), np.int64)
    np.add.at(by_slot.T, slot, requests.T)
    stretch = stretches(by_slot, setting.min_group)
    end_s = start_s + windows * setting.window_s
    covered_s = span_of(fold, grid, low, high, to_minutes=setting.min_group > 1)
    origin = covering(origin, start_s, end_s, covered_s)
    part = covered_parts(start_s, setting.window_s, windows, covered_span(origin, start_s, end_s))
    sent = spread(requests, stretch[:, slot], setting.min_group, part)
    code = linker.clients.cast(pl.Enum(fold.clients)).to_physical().to_numpy().astype(np.int64)
    talks = recorded(linker, roster.of[code], len(roster))
    laws, apart = None, np.ones(fold.requests.size, np.bool_)
    apart[code[linker.linked]] = False
    if talks is not None and setting.as_laws:
        single = np.bincount(roster.of[apart & (roster.of >= 0)], fold.requests[apart & (roster.of >= 0)], len(roster))
        ends_s = float(grid.clock_s(fold.first_s)), float(grid.clock_s(fold.last_s))
        laws = lines_of(talks.sessions, grid, ends_s, setting.min_group, single.astype(np.int64))
    lengths = build(fold.lengths, roster, stretch, first_slot, setting.min_group, laws, apart)
    gaps = _gaps_of_senders(fold, cells, roster, grid)
    if talks is not None:
        converses = np.diff(talks.sessions.first) > 0 if laws is None else laws.converses
        gaps = _with_starts(gaps, talks, linker, roster, code, converses)
        if linker.has_ids and (laws is None or laws.frames):
            origin = {**origin, BLOCK_SIZE_KEY: linker.block_tokens}
    bursts = _bursts(gaps, sent, low, setting.window_s * part, setting.min_group)
    pool = ClientPool(
        names=_names(fold, roster, setting),
        rate_per_s=sent / (setting.window_s * part),
        **bursts,
        families=FAMILIES,
        stated=np.zeros(len(roster), np.bool_),
        fields=lengths.fields,
        table=lengths.table,
        lengths=lengths.tables,
        start_s=start_s,
        window_s=setting.window_s,
        slot_s=setting.slot_s,
        origin=origin,
        sessions=None if talks is None or setting.as_laws else talks.sessions,
    )
    return Assembled(pool, roster, lengths, cells, gaps, requests, sent, talks)


def _traits(fold: Fold, cells: Cells, grid: Grid) -> Floats:
    """What clients are compared by, (clients, traits)."""
    clients = fold.requests.size
    angle = 2 * np.pi * ((grid.start_s(cells.window) + grid.window_s / 2) % DAY_S) / DAY_S
    sent = np.maximum(fold.requests, 1)
    hours = [np.bincount(cells.client, cells.requests * wave(angle), clients) / sent for wave in (np.cos, np.sin)]
    totals = []
    for field in ("input_tokens", "output_tokens"):
        frame = fold.lengths[field].frame
        totals.append(np.bincount(frame["client"].to_numpy(), frame["total"].to_numpy(), clients))
    return traits_of(fold.requests, totals, np.column_stack(hours))


def _gaps_of_senders(fold: Fold, cells: Cells, roster: Roster, grid: Grid) -> Cells:
    """The cells of senders: a client's own, or those of a group's requests in one stream."""
    alone = np.zeros(roster.of.size, np.bool_)
    alone[roster.alone[roster.alone >= 0]] = True
    own = cells.where(alone[cells.client]).numbered(roster.of)
    code, arrival_s = fold.arrivals_of_few
    sender = roster.of[code]
    pooled = (roster.alone < 0)[sender]
    streams = Cells.of(arrival_s[pooled], sender[pooled].astype(np.uint32), grid.window(arrival_s[pooled]), len(roster))
    return Cells.joined([own, streams])


def _with_starts(
    gaps: Cells, talks: Recorded, linker: Linker, roster: Roster, code: Ints, converses: NDArray[np.bool_]
) -> Cells:
    """``gaps`` with those between the beginnings of conversations for the senders that ``converses`` [P] marks.

    ``code`` is the number in ``roster`` of each of ``linker``'s clients. Where not all conversations were kept, those
    of groups are of requests still.
    """
    if linker.level:
        own = linker.starts.numbered(code)
        single = np.zeros(roster.of.size, np.bool_)
        single[roster.alone[roster.alone >= 0]] = True
        converses = converses & (roster.alone >= 0)
        starts = own.where(single[own.client]).numbered(roster.of)
        starts = starts.where(converses[starts.client])
    else:
        starts = talks.starts(linker.grid)
        starts = starts.where(converses[starts.client])
    return Cells.joined([gaps.where(~converses[gaps.client]), starts])


def _bursts(gaps: Cells, sent: Floats, low: int, covered_s: Floats, k: int) -> dict[str, Any]:
    """CV, family and its parameters of each window of the pool in which something is sent.

    ``covered_s`` is how long of each window the trace covers. A window of fewer than two gaps, or of fewer than ``k``
    requests, has its sender's usual CV and family.
    """
    senders = sent.shape[0]
    chosen = choose(gaps, senders, k)
    cv = gaps.cv
    known = np.isfinite(cv) & (gaps.requests >= k)
    usual = _usual_cv(gaps, senders, k)
    on = sent > 0
    out = {
        "cv": np.where(on, usual[:, None], np.nan),
        "family": np.where(on, chosen.of_client[:, None], 0),
        "first_parameter": np.full(sent.shape, np.nan),
        "second_parameter": np.full(sent.shape, np.nan),
    }
    at = (gaps.client[known].astype(np.int64), gaps.window[known] - low)
    cv, mean_s, n = cv[known], gaps.gap_s[known] / gaps.gaps[known], gaps.requests[known]
    # Only Gamma windows can say that their client was there for a part of them: see compose.shapes.
    partly = (mean_s > 0) & (mean_s * n / covered_s[at[1]] < WELL_BELOW / (1.0 + cv**2 / n))
    family = np.where(partly, GAMMA, chosen.family[known])
    squared = np.maximum(cv, _LEAST_CV) ** 2
    told = mean_s > 0
    choices = (
        (1.0 / squared, mean_s * squared),
        (chosen.weibull_shape[known], chosen.weibull_scale_s[known]),
        (np.full(n.size, np.nan), np.full(n.size, np.nan)),
    )
    out["cv"][at], out["family"][at] = cv, family
    for i, parameter in enumerate(("first_parameter", "second_parameter")):
        out[parameter][at] = np.where(told, np.choose(family, [choice[i] for choice in choices]), np.nan)
    return {name: column.astype(np.uint8 if name == "family" else np.float32) for name, column in out.items()}


def _usual_cv(gaps: Cells, senders: int, k: int) -> Floats:
    """The mean of each sender's CVs over its windows, by gaps; 1 where they rest on fewer than ``k`` requests."""
    cv = gaps.cv
    known = np.isfinite(cv)
    of, weight = gaps.client[known], gaps.gaps[known]
    total = np.bincount(of, weight, senders)
    rests_on = np.bincount(of, gaps.requests[known], senders)
    told = (total > 0) & (rests_on >= k)
    return np.where(told, np.bincount(of, weight * cv[known], senders) / np.where(total > 0, total, 1.0), 1.0)


def _names(fold: Fold, roster: Roster, setting: FitSetting) -> tuple[str, ...]:
    """``client-N`` and ``group-N``, each numbered from the busiest on; or clients' own names."""
    single = roster.alone >= 0
    numbers = np.where(single, np.cumsum(single), np.cumsum(~single)).tolist()
    names = [f"{'client' if one else 'group'}-{number}" for one, number in zip(single.tolist(), numbers, strict=True)]
    if setting.names == "keep":
        own = fold.clients.to_list()
        names = [own[c] if c >= 0 else name for c, name in zip(roster.alone.tolist(), names, strict=True)]
        # a client of the trace may be called as a group is; it comes first, and so keeps its name
        order = np.argsort(~single, kind="stable")
        told = distinct([names[i] for i in order])
        names = [name for _, name in sorted(zip(order.tolist(), told, strict=True))]
    return tuple(names)
