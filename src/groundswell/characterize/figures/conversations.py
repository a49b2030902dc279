"""Which requests follow on one another."""

from __future__ import annotations

from dataclasses import dataclass

from groundswell.characterize.figures.shared import Band
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve, Fit


@dataclass(frozen=True, eq=False)
class ConversationFigures:
    """Requests that follow on one another (ServeGen's finding 10, figures 14 to 16)."""

    source: str
    """``ids``: the trace names conversations; ``prefixes``: they were inferred from prefix blocks."""
    conversations: int
    sampled: float
    """The share of conversations that was followed: below 1 only where memory would have run out."""
    multi_turn_share: Estimate
    """Requests in conversations of at least two turns, over all requests."""
    mean_turns: Estimate
    """Of conversations of at least two turns."""
    turns: Curve
    """The share of conversations (y) of exactly x turns."""
    gap: Curve
    """Distribution of the time between one turn's arrival and the next one's, in seconds."""
    gap_p50: Estimate
    gap_p90: Estimate
    gap_by_turn: Band
    """Median and 80 % band of the inter-turn time, against the turn that it leads from."""
    gap_lognormal: Fit | None
    think: Curve
    """Distribution of ``think_s`` where the trace has it."""
    growth: Band
    """Median and 80 % band of the input tokens, against the turn."""
    growth_per_turn: Estimate
    """Mean input of a turn less that of the turn before, over conversations."""
    single_cv: Estimate
    """CV of the gaps between single-turn requests, within windows."""
    multi_cv: Estimate
    """CV of the gaps between requests of multi-turn conversations, within windows."""
    whole_cv: Estimate
    starts_cv: Estimate
    """CV of the gaps between the first turns of conversations."""
