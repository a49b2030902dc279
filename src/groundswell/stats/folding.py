"""Blocks folded on all cores, in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Fold = TypeVar("Fold")


def folded(blocks: Iterable[Any], of: Callable[[Any, Fold], Fold], nothing: Fold, workers: int | None = None) -> Fold:
    """``nothing + of(first, …) + of(second, …) + …``, up to ``workers`` calls of ``of`` at a time: else one a core.

    ``of`` is given a block, and the fold of some of the blocks before it. No more blocks than there are workers are
    held. Adding happens in the caller's thread, and so does whatever makes the blocks.
    """
    total: Any = nothing
    workers = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[Fold]] = deque()
        try:
            for block in blocks:
                ahead.append(pool.submit(of, block, total))
                if len(ahead) > workers:
                    total = total + ahead.popleft().result()
            while ahead:
                total = total + ahead.popleft().result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return total  # type: ignore[no-any-return]
