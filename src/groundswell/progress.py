"""A progress bar around a stream of blocks, for people: on stderr, and only when that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from groundswell.units import show_count

Block = TypeVar("Block", bound=Sized)


def with_progress(blocks: Iterable[Block], expected_rows: float, label: str) -> Iterator[Block]:
    """``blocks``, unchanged; meanwhile rows done, rows/s and the time left are shown."""
    if not sys.stderr.isatty():
        yield from blocks
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=max(expected_rows, 1.0), pace="")
        for block in blocks:
            speed = progress.tasks[task].speed
            progress.update(task, advance=len(block), pace=f"{show_count(speed)} rows/s" if speed else "")
            yield block
