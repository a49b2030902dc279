"""What went wrong, how many tokens there were, and whether the server counted as many."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.judge.figures import ErrorKind, ServerTotal, Tokens
from groundswell.results import Results

Floats = NDArray[np.float64]

_EXAMPLES = 3
_STATUSES = 8


def errors_of(results: Results) -> tuple[ErrorKind, ...]:
    """The kinds of failures, most first."""
    columns = [name for name in ("error", "status", "words") if name in results]
    failures = results.frame.select(columns).filter(pl.col("error").is_not_null())
    found = []
    for kind, count in _most(failures["error"], failures.height):
        own = failures.filter(pl.col("error") == kind)
        statuses = own["status"].drop_nulls() if "status" in columns else pl.Series([], dtype=pl.Int16)
        words = own["words"].drop_nulls() if "words" in columns else pl.Series([], dtype=pl.String)
        found.append(
            ErrorKind(
                kind,
                count,
                count / len(results),
                tuple((int(status), number) for status, number in _most(statuses.filter(statuses > 0), _STATUSES)),
                tuple(text for text, _ in _most(words.filter(words != ""), _EXAMPLES)),
            )
        )
    return tuple(found)


def _most(column: pl.Series, most: int) -> list[tuple[str, int]]:
    """The values that are there most often, and how often; those as frequent in their order."""
    counted = column.rename("value").value_counts(name="count").sort(["count", "value"], descending=[True, False])
    return list(counted.head(most).iter_rows())


def tokens_of(results: Results) -> Tokens:
    """Counts over all requests that ended well."""
    well = ~results.failed

    def tokens(name: str) -> Floats:
        return results.floats(name)[well]

    def total(name: str) -> int:
        return int(np.nansum(tokens(name)))

    # What is nan, as it was not counted, is neither more nor less than anything.
    excess = tokens("prompt_tokens") - tokens("made_tokens")
    longer = tokens("output_tokens") - tokens("asked_tokens")
    return Tokens(
        requests=int(well.sum()),
        asked=total("asked_tokens"),
        output=total("output_tokens"),
        reason=total("reason_tokens"),
        input=total("input_tokens"),
        made=total("made_tokens"),
        prompt=total("prompt_tokens"),
        cached=total("cached_tokens"),
        output_counted=int(np.count_nonzero(~np.isnan(longer))),
        prompt_compared=int(np.count_nonzero(~np.isnan(excess))),
        prompt_mismatches=int(np.count_nonzero(np.nan_to_num(excess))),
        prompt_excess=int(np.nansum(excess)),
        output_compared=int(np.count_nonzero(~np.isnan(longer))),
        output_shorter=int(np.count_nonzero(longer < 0)),
        output_longer=int(np.count_nonzero(longer > 0)),
    )


def server_totals(results: Results) -> tuple[ServerTotal, ...]:
    """The server's counters that say what the requests say, too, beside the sums over these."""
    found = []
    for name in ("requests", "prompt_tokens", "output_tokens"):
        server = results.totals.get(name)
        if isinstance(server, int | float) and np.isfinite(server):
            ours = results.floats("sent_s" if name == "requests" else name)
            total = np.count_nonzero(~np.isnan(ours)) if name == "requests" else np.nansum(ours)
            rounding = results.rounding.get(name, 0.0)
            off = float(rounding) if isinstance(rounding, int | float) else 0.0
            found.append(ServerTotal(name, float(server), float(total), off))
    return tuple(found)
