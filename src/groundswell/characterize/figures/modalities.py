"""What prompts hold beside text."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from groundswell.characterize.figures.shared import Series
from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import Curve


@dataclass(frozen=True, eq=False)
class Modality:
    """Images, audio or video."""

    name: str
    share: Estimate
    """Of requests that have at least one."""
    per_request: Curve
    """The share of those with exactly x items, for the numbers that occur (at most 200)."""
    mean_items: Estimate
    tokens: Curve
    """Distribution of an item's tokens."""
    mean_tokens: Estimate
    sizes: tuple[tuple[int, float], ...]
    """The sizes that at least 2 % of items have exactly, with their shares, most frequent first: standard sizes."""
    spearman: Estimate
    """Rank correlation of a request's text with its tokens of this kind."""
    rate: Series
    """Tokens of this kind per second."""
    shift: Estimate
    """95th over 5th percentile of the windows' tokens per second."""
    shift_by_chance: float = nan
    """What ``shift`` would be at a constant rate, with tokens as uneven as they are from one stretch of some minutes to
    the next."""


@dataclass(frozen=True, eq=False)
class ModalityFigures:
    """What prompts hold beside text (ServeGen's findings 6 to 8, figures 8 to 11)."""

    modalities: dict[str, Modality]
    modal_share: Estimate
    """Tokens of items over all input tokens, the mean over requests that have items."""
    share_cdf: Curve
    """Distribution of a request's modal share."""
    share_spread: float
    """Standard deviation of that share."""
    text_rate: Series
    """Tokens of text per second."""
    together: dict[str, Estimate]
    """Correlation over windows of the rate of tokens of a kind with the rate of text tokens."""
