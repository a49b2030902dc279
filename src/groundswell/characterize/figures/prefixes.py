"""What prompts share with earlier ones."""

from __future__ import annotations

from dataclasses import dataclass

from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve


@dataclass(frozen=True, eq=False)
class PrefixFigures:
    """What prompts share with earlier ones, by the ids of their blocks."""

    block_tokens: int
    blocks: int
    distinct: int
    sampled: float
    """The share of blocks that was followed (SHARDS, Waldspurger et al., FAST 2015)."""
    ideal_hit_rate: Estimate
    """Blocks seen before in the trace, over all blocks: what a cache without bounds would hit."""
    hit_rate: Curve
    """What an LRU cache of x blocks hits (y): from 1 to all distinct blocks."""
    reuse_s: Curve
    """Distribution of the time since a block was last seen, of those seen before."""
    reuse_blocks: Curve
    """Distribution of the number of distinct blocks since (LRU stack distance)."""
    within_conversation: Estimate
    """Of the hits, those whose block was last seen in the same conversation; nan where there are no conversations."""
    within_client: Estimate
    """Of the hits, those whose block was last seen from the same client; nan where there is one client."""
    popular: Curve
    """Share of all block references (y) that go to the x most referenced blocks."""
    shared_tokens: Curve
    """Distribution over requests of the number of leading tokens that were seen before."""
