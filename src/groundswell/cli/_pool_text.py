"""What ``groundswell pool`` says of pools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from groundswell.cli._print import facts, number, table
from groundswell.clients import ClientPool
from groundswell.clients.cdf import curve_quantiles
from groundswell.clients.views import mean_cv
from groundswell.units import show_count, show_duration

if TYPE_CHECKING:
    import polars as pl

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_NEARLY_ALL = 0.9999


def describe(pool: ClientPool, top: int) -> str:
    """A page on one pool."""
    parts = [_overview(pool), _fields(pool), _lacking(pool), _busiest(pool, top)]
    return "\n\n".join(part for part in parts if part)


def describe_repository(root: Path, folders: Sequence[Path]) -> str:
    """The pools under ``root``, one a line, with the number of clients in each."""
    rows = [[str(folder.relative_to(root)), str(len(list(folder.glob("chunk-*-trace.csv"))))] for folder in folders]
    return f"{root} holds {len(folders)} pools:\n\n" + table(["pool", "clients"], rows)


def _overview(pool: ClientPool) -> str:
    total = pool.total_rate_per_s
    requests = total * pool.covered_part * pool.window_s
    peak = int(requests.argmax())  # a window of which little is covered has no rate to speak of
    share = np.sort(pool.mean_rate_per_s)[::-1]
    held = share.sum()
    top = ", ".join(f"{k}: {_percent(share[:k].sum(), held)}" for k in (1, 10, 100) if k < len(pool))
    return facts(
        [
            ("clients", f"{len(pool):,}"),
            (
                "span",
                f"{show_duration(pool.span_s)} from {show_duration(pool.start_s)}, "
                f"{pool.window_count:,} windows of {show_duration(pool.window_s)}",
            ),
            *_covered(pool),
            ("requests", show_count(float(requests.sum()))),
            (
                "rate",
                f"{number(held)}/s mean, {number(total[peak])}/s peak "
                f"(at {show_duration(float(pool.window_start_s[peak]))})",
            ),
            *([("top clients", top)] if top else []),
            ("arrivals", _families(pool)),
            *_conversations(pool),
        ]
    )


def _covered(pool: ClientPool) -> list[tuple[str, str]]:
    """From when to when the rates are known, where that is not all of the windows."""
    begin_s, end_s = pool.covered_s
    if end_s - begin_s >= pool.span_s * _NEARLY_ALL:
        return []
    return [("covered", f"{show_duration(end_s - begin_s)} from {show_duration(begin_s)}, rates are of this time")]


def _conversations(pool: ClientPool) -> list[tuple[str, str]]:
    """Who converses, and in how many requests; nothing where nobody does."""
    talks = pool.converses
    if not talks.any():
        return []
    rate = pool.mean_rate_per_s
    some = f"{int(talks.sum()):,} of {len(pool):,} clients, {_percent(rate[talks].sum(), rate.sum())} of requests"
    parts = ["all clients" if talks.all() else some]
    if "turns" in pool.fields:
        turns = pool.mean_length("turns")
        known = np.isfinite(turns) & (rate > 0)
        if known.any():
            begun = (rate[known] / turns[known]).sum()
            parts.append(f"{number(rate[known].sum() / begun)} requests each")
    if pool.sessions is not None and len(pool.sessions):
        held = pool.sessions
        parts.append(f"{show_count(len(held))} kept whole, {number(held.requests / len(held))} requests each")
    return [("conversations", "; ".join(parts))]


def _families(pool: ClientPool) -> str:
    """Each family's share of the requests, the largest first."""
    weight = np.bincount(pool.family.ravel(), pool.sent_per_s.ravel(), minlength=len(pool.families))
    order = np.argsort(-weight, kind="stable")
    return ", ".join(f"{pool.families[i]} {_percent(weight[i], weight.sum())}" for i in order if weight[i] > 0)


def _fields(pool: ClientPool) -> str:
    """Mean and quantiles of each field over all requests: clients and slots weighted by their rate."""
    rows = []
    for f, name in enumerate(pool.fields):
        which = pool.table[:, :, f]
        weight = np.bincount(which[which >= 0], pool.slot_rate[which >= 0], minlength=pool.lengths.size)
        if not weight.sum() > 0:
            continue
        atoms = np.repeat(weight, np.diff(pool.lengths.first)) * pool.lengths.probability
        order = np.argsort(pool.lengths.value, kind="stable")
        value, share = pool.lengths.value[order].astype(float), np.cumsum(atoms[order]) / atoms.sum()
        quantile = [value[min(int(np.searchsorted(share, q)), value.size - 1)] for q in (0.5, 0.9, 0.99)]
        largest = value[np.flatnonzero(atoms[order])[-1]]
        rows.append([name, *map(number, [float(atoms @ pool.lengths.value / atoms.sum()), *quantile, largest])])
    return table(["field", "mean", "p50", "p90", "p99", "max"], rows) if rows else "no lengths"


def _lacking(pool: ClientPool) -> str:
    """Who has no lengths of input and output, and how much of the traffic that is."""
    lacking = ~pool.has_lengths
    if not lacking.any():
        return ""
    names = [pool.names[i] for i in np.flatnonzero(lacking)]
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    share = _percent(pool.mean_rate_per_s[lacking].sum(), pool.mean_rate_per_s.sum())
    return f"without lengths: {len(names)} clients with {share} of the requests\n  {shown}"


def _busiest(pool: ClientPool, top: int) -> str:
    order = np.argsort(-pool.mean_rate_per_s, kind="stable")[: max(top, 0)]
    cv = mean_cv(pool)
    lengths = [
        pool.mean_length(f) if f in pool.fields else np.full(len(pool), np.nan)
        for f in ("input_tokens", "output_tokens")
    ]
    rows = [
        [
            pool.names[i],
            number(pool.mean_rate_per_s[i]),
            _percent(pool.mean_rate_per_s[i], pool.mean_rate_per_s.sum()),
            _percent(float((pool.rate_per_s[i] > 0).mean()), 1.0),
            number(cv[i]),
            *(number(mean[i]) for mean in lengths),
        ]
        for i in order
    ]
    return table(["client", "req/s", "share", "active", "CV", "mean input", "mean output"], rows) if rows else ""


def quantiles(curves: pl.DataFrame) -> str:
    """Quantiles of every curve of :func:`groundswell.clients.cdf.rate_weighted_cdfs`."""
    rows = curve_quantiles(curves, QUANTILES)
    return table(rows.columns, [[str(name), *map(number, values)] for name, *values in rows.iter_rows()])


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole > 0 else "–"
