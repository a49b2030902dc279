"""Which requests are single, which are turns of longer conversations, and which begin one; how bursty each kind is."""

from __future__ import annotations

import polars as pl

from groundswell.characterize._burstiness import window_cv
from groundswell.characterize._followed import Stretches
from groundswell.characterize._talks import Talks
from groundswell.stats.estimate import Estimate

MOST_WRONG = 0.05
"""With a larger share of a kind's requests taken for another kind, nothing is said of its burstiness."""


def burstiness(stretches: Stretches, talks: Talks, window_s: float) -> dict[str, Estimate]:
    """``single_cv``, ``multi_cv``, ``starts_cv`` and ``whole_cv``: the CVs within windows of single requests, of the
    turns of longer conversations, of the first requests of conversations of any length, and of all requests.

    Conversations that are not followed are judged by the stretches alone, where a turn may have lost the others. How
    often is known from those that are followed; where that is too often, a kind is left unknown.
    """
    rows = _with_kinds(stretches.parts[0], talks)
    at_s = rows["arrival_s"].to_numpy()
    found = {"whole_cv": window_cv(at_s, window_s, stretches.length_s)}
    for kind in ("single", "multi", "starts"):
        of_kind = rows[kind].fill_null(rows[f"{kind}_here"])
        trusted = _share_wrong(rows[kind], rows[f"{kind}_here"]) <= MOST_WRONG or not rows[kind].has_nulls()
        found[f"{kind}_cv"] = window_cv(at_s[of_kind], window_s, stretches.length_s) if trusted else Estimate()
    return found


def _with_kinds(rows: pl.DataFrame, talks: Talks) -> pl.DataFrame:
    """``rows`` with, for each kind, whether they are of it (null if not known) and whether it seems so from them."""
    known = pl.DataFrame({"lot": talks.lot, "turns": talks.requests, "start_s": talks.start_s})
    rows = rows.join(known, on="lot", how="left", maintain_order="left")
    alone, here, turns = pl.col("lot").is_null(), pl.len().over("lot"), pl.col("turns")
    first = pl.col("lot").is_first_distinct()
    return rows.select(
        "arrival_s",
        single=alone | (turns == 1),
        multi=~alone & (turns > 1),
        starts=alone | (first & (pl.col("arrival_s") == pl.col("start_s"))),
        single_here=alone | (here == 1),
        multi_here=~alone & (here > 1),
        starts_here=alone | first,
    )


def _share_wrong(truth: pl.Series, seems: pl.Series) -> float:
    """Of the rows of which it is known, those that seem otherwise, over those that are of the kind."""
    known = truth.is_not_null()
    wrong = int((truth != seems).filter(known).sum())
    return wrong / max(int(truth.filter(known).sum()), 1)
