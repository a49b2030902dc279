"""What clients say in conversations, and how a turn's figures are drawn by it: words of the conversation's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundswell.chance import compiled, word_at
from groundswell.length_tables import draw

ALONE, STATED, RECORDED, DEALT = range(4)
"""Kinds of client: one that does not converse; one whose conversations are laws; one whose were recorded; and one that
has whole conversations too, but of no time, as its rates are a law.
"""

TURNS, THINK, NEW, KEPT, AGAIN, SHARED, OUTPUT, REASON = range(8)
"""Columns of a client's laws: what a conversation's words are drawn into."""


@compiled
def word_of(key: Any, turn: Any, stream: Any) -> Any:
    """Word ``stream`` of a turn: the figure of that number, or from 8 on what else a turn needs."""
    return word_at(key, np.uint64(turn) * np.uint64(16) + np.uint64(stream))


@compiled
def drawn(key: Any, turn: Any, field: Any, law: Any, missing: Any, tables: Any) -> Any:
    """Field ``field`` of a turn; ``missing`` where its client has no law for it."""
    if law[field] < 0:
        return missing
    first, value, threshold, guide_first, guide = tables
    word = word_of(key, turn, field) >> np.uint64(32)
    return np.float64(draw(word, law[field], first, value, threshold, guide_first, guide))
