"""What of a workload an API has no place for, or a server no room: said before the run."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from groundswell.errors import UsageError
from groundswell.replay.plan import Plan
from groundswell.replay.source import Source
from groundswell.targets import TARGETS


def check_items(plan: Plan, target: str) -> None:
    """Raises UsageError where requests have images or audio, and ``target`` has no place for them."""
    if TARGETS.build(target).takes == "messages":
        return
    named = [f"{items.requests:,} have {name}" for name, items in (("images", plan.images), ("audio", plan.audio))]
    kept = [text for text, items in zip(named, (plan.images, plan.audio), strict=True) if items.count]
    if kept:
        raise UsageError(
            f"of {plan.requests:,} requests {' and '.join(kept)}, and {target} carries text alone: "
            "openai_chat carries both"
        )


def left_out(source: Source, plan: Plan, context_tokens: int | None) -> Iterator[str]:
    """What is not sent of a workload, and what a server with so many tokens of context, if that is known, may not take:
    a line each."""
    if plan.video.count:
        yield f"video cannot be sent: {plan.video.requests:,} requests go without theirs"
    too_long = _beyond_context(source, plan, context_tokens)
    if too_long is not None:
        yield too_long


def _beyond_context(source: Source, plan: Plan, context_tokens: int | None) -> str | None:
    """How many requests ask for more tokens, with their reply, than a model's context holds; None where none does."""
    if context_tokens is None or plan.longest_prompt + plan.longest_reply <= context_tokens:
        return None
    whole = pl.col("input_tokens").cast(pl.Int64) + pl.col("output_tokens")
    count = 0
    longest = (0, 0, 0)
    for frame in source.blocks(("input_tokens", "output_tokens")):
        beyond = frame.select(whole.alias("whole"), "input_tokens", "output_tokens")
        beyond = beyond.filter(pl.col("whole") > context_tokens)
        count += beyond.height
        if beyond.height:
            longest = max(longest, beyond.row(int(beyond["whole"].arg_max() or 0)))
    if not count:
        return None
    return (
        f"{count:,} of {plan.requests:,} requests ask for more than the model's context of {context_tokens:,} tokens, "
        f"the longest for {longest[1]:,} and a reply of {longest[2]:,}: servers refuse them or cut their replies short"
    )
