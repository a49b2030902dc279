"""A progress bar around a stream of blocks, or for what counts itself, and what a first run waits for, for people: on
stderr, and only when that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from groundswell.units import show_count

Block = TypeVar("Block", bound=Sized)

COMPILING = "compiling kernels, once; this takes up to a minute or two, and groundswell warm does it beforehand"


def with_progress(blocks: Iterable[Block], expected_rows: float, label: str) -> Iterator[Block]:
    """``blocks``, unchanged; meanwhile rows done, rows/s and the time left are shown."""
    rows = 0
    with counting(expected_rows, label, "rows") as done:
        for block in blocks:
            rows += len(block)
            done(rows)
            yield block


@contextmanager
def counting(expected: float, label: str, what: str) -> Iterator[Callable[[int], None]]:
    """What is told how many are done in all; meanwhile that, how many a second and the time left are shown."""
    if not sys.stderr.isatty():
        yield lambda done: None
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
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress, telling_of_compiling():
        task = progress.add_task(label, total=max(expected, 1.0), pace="")

        def show(done: int) -> None:
            speed = progress.tasks[task].speed
            progress.update(task, completed=done, pace=f"{show_count(speed)} {what}/s" if speed else "")

        yield show


@contextmanager
def tallying(label: str, what: str) -> Iterator[Callable[[int], None]]:
    """What is told of so many more, where nobody knows how many there will be: meanwhile how many there were, how many
    a second, and for how long are shown."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    said = TextColumn("{task.description}: {task.fields[pace]}")
    shown = (SpinnerColumn(), said, TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress, telling_of_compiling():
        task = progress.add_task(label, total=None, pace="")

        def show(more: int) -> None:
            progress.update(task, advance=more)
            so_far = progress.tasks[task]
            speed = f", {show_count(so_far.speed)}/s" if so_far.speed else ""
            progress.update(task, pace=f"{show_count(so_far.completed)} {what}{speed}")

        yield show


@contextmanager
def telling_of_compiling() -> Iterator[None]:
    """Meanwhile, when a kernel is not found in the cache and has to be compiled first, a line says so, once."""
    if not sys.stderr.isatty():
        yield
        return
    from numba.core import event

    class Compiling(event.Listener):
        told = False

        def on_start(self, _: event.Event) -> None:
            if not self.told:
                self.told = True
                sys.stderr.write(f"{COMPILING}\n")

        def on_end(self, _: event.Event) -> None:
            pass

    with event.install_listener("numba:compile", Compiling()):
        yield
