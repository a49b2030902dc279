"""What a person chooses of conversations."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from groundswell.errors import UsageError
from groundswell.service import TPOT_S, TTFT_S

_LARGEST_BLOCK = 2**24  # tokens


@dataclass(frozen=True)
class Talking:
    """What a person chooses of conversations: the nominal speed of the service, a limit of contexts, a block's size.

    ``block_tokens`` 0 is no prefix blocks; None is the size of those that the pool was fitted to, or 16.
    """

    ttft_s: float = TTFT_S
    tpot_s: float = TPOT_S
    max_context_tokens: int | None = None
    block_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("ttft_s", "tpot_s"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UsageError(f"{name} must be a number of seconds of at least 0, not {getattr(self, name)}")
        most, size = self.max_context_tokens, self.block_tokens
        if most is not None and not (isinstance(most, Integral) and most > 0):
            raise UsageError(f"max_context_tokens must be a whole number above 0, not {most}")
        if size is not None and not (isinstance(size, Integral) and 0 <= size <= _LARGEST_BLOCK):
            raise UsageError(f"block_tokens must be a whole number from 0 to {_LARGEST_BLOCK:,}, not {size}")
