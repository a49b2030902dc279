"""What a reader of a judgement has to know besides its figures, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from groundswell.judge.figures import ServerTotal, Tokens, Window
from groundswell.results import Results
from groundswell.units import show_duration


def notes_of(
    results: Results, window: Window, tokens: Tokens, server: Sequence[ServerTotal], piles: tuple[float, float]
) -> Iterator[str]:
    """The notes, what matters most first. ``piles`` are shares of times near 40 ms: between events, and before the
    first."""
    yield from _interrupted(results)
    yield from _counted(results, tokens)
    for total in server:
        if not total.agrees:
            yield (
                f"the server's own counter of {total.name.replace('_', ' ')} grew by {total.server:,.0f} and ours is "
                f"{total.ours:,.0f}: somebody else sent, too, or replies were lost"
            )
    yield from _held(results)
    for share, what in zip(piles, ("between events", "from a reply's head to its first token"), strict=True):
        if share and not results.run.get("quick_ack"):
            yield (
                f"{share:.0%} of the times {what} are close to 40 ms, as when an acknowledgement is delayed by the "
                "kernel: replay with --quick-ack and compare"
            )


def _interrupted(results: Results) -> Iterator[str]:
    if not results.run.get("interrupted"):
        return
    remaining = results.run.get("remaining")
    left = f"; {remaining:,} requests were not due yet" if isinstance(remaining, int) and remaining else ""
    yield f"the run was interrupted, and is judged on what was due until then{left}"
    given_up = int((results.frame["error"] == "interrupted").sum())
    if given_up:
        yield f"{given_up:,} requests that were open when it was interrupted count as failed"


def _counted(results: Results, tokens: Tokens) -> Iterator[str]:
    if tokens.prompt_mismatches:
        yield (
            f"the server counts {tokens.prompt_mismatches:,} of {tokens.prompt_compared:,} prompts otherwise than we "
            f"do ({tokens.prompt_excess:+,} tokens in all): is the tokenizer that of the model?"
        )
    if tokens.output_shorter or tokens.output_longer:
        wrong = [
            f"{count:,} {word}"
            for count, word in ((tokens.output_shorter, "shorter"), (tokens.output_longer, "longer"))
            if count
        ]
        yield (
            f"of {tokens.output_compared:,} replies {' and '.join(wrong)} than asked ({tokens.output:,} tokens for "
            f"{tokens.asked:,})" + ("" if results.run.get("simulated") else ": the server may not know ignore_eos")
        )
    frame = results.frame
    well = frame["error"].is_null()
    several = well & (frame["asked_tokens"] > 1)
    uncounted = int((several & frame["output_tokens"].is_null() if "output_tokens" in results else several).sum())
    if uncounted:
        yield (
            f"the server did not count the tokens of {uncounted:,} replies: their events are taken for tokens"
            if "events" in results
            else f"the tokens of {uncounted:,} replies are not counted, so they have no time per token"
        )
    empty = int((well & frame["first_token_s"].is_null()).sum())
    if empty:
        yield f"{empty:,} replies ended well without a token: their end is taken for their first token"


def _held(results: Results) -> Iterator[str]:
    held = results.frame["held"].fill_null(False).to_numpy() if "held" in results else np.zeros(0, np.bool_)
    if held.any():
        waited_s = float(np.nanmax(results.floats("sent_s")[held] - results.floats("due_s")[held], initial=0.0))
        yield (
            f"{int(held.sum()):,} requests were held back by the limit of open requests, for up to "
            f"{show_duration(waited_s)}; that counts as their latency"
        )
