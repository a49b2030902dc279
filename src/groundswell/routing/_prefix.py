"""What of a prompt is in an instance's memory."""

from __future__ import annotations

from typing import Any

from groundswell.chance import kernel
from groundswell.simulate.blocks import find


@kernel
def new_tokens(w: Any, i: Any, r: Any) -> Any:
    """How many tokens of the prompt of ``r`` instance ``i`` would have to read: none where its keys and values come
    from another engine."""
    q = w.requests[r]
    if q.handed > 0:
        return 0
    settings = w.pools[w.at[i].pool]
    found, _ = find(w, settings, i, r)
    return q.prompt - found * settings.name_blocks * settings.block_tokens
