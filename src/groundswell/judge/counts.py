"""What went wrong, how many tokens there were, and whether the server counted as many."""

from __future__ import annotations

import numpy as np
import polars as pl

from groundswell.judge.figures import ErrorKind, ServerTotal, Tokens
from groundswell.results import Results

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
    well = Results(results.frame.filter(pl.col("error").is_null()))
    asked, output = well.floats("asked_tokens"), well.floats("output_tokens")
    made, prompt = well.floats("made_tokens"), well.floats("prompt_tokens")
    both, counted = ~np.isnan(made) & ~np.isnan(prompt), ~np.isnan(output)
    return Tokens(
        requests=len(well),
        asked=int(asked.sum()),
        output=int(np.nansum(output)),
        reason=int(np.nansum(well.floats("reason_tokens"))),
        input=int(well.floats("input_tokens").sum()),
        made=int(np.nansum(made)),
        prompt=int(np.nansum(prompt)),
        cached=int(np.nansum(well.floats("cached_tokens"))),
        output_counted=int(counted.sum()),
        prompt_compared=int(both.sum()),
        prompt_mismatches=int((made != prompt)[both].sum()),
        prompt_excess=int((prompt - made)[both].sum()),
        output_compared=int(counted.sum()),
        output_shorter=int((output < asked)[counted].sum()),
        output_longer=int((output > asked)[counted].sum()),
    )


def server_totals(results: Results) -> tuple[ServerTotal, ...]:
    """The server's counters that say what the requests say, too, beside the sums over these."""
    found = []
    for name in ("requests", "prompt_tokens", "output_tokens"):
        server = results.totals.get(name)
        if isinstance(server, int | float) and np.isfinite(server):
            ours = results.floats("sent_s" if name == "requests" else name)
            total = np.count_nonzero(~np.isnan(ours)) if name == "requests" else np.nansum(ours)
            found.append(ServerTotal(name, float(server), float(total)))
    return tuple(found)
