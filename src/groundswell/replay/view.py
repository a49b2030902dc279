"""A run as it goes on, for a person: a picture on a terminal, or now and then a line where there is none. On stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol, Self

from groundswell.replay.journal import Records
from groundswell.replay.picture import Scene, line_of, picture_of
from groundswell.replay.recent import Course, Recent

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

LINE_EVERY_S = 10.0


class Ahead(Protocol):
    """What is to come of a run: :class:`groundswell.replay.plan.Plan` has it."""

    @property
    def requests(self) -> int:
        """How many requests."""

    @property
    def span_s(self) -> float:
        """From the run's begin to when its last request is due, as far as that is known ahead."""


class Metrics(Protocol):
    """What a server says of itself: :class:`groundswell.replay.scrape.Scraper` has it."""

    @property
    def server(self) -> str | None:
        """What kind of a server it is."""

    def latest(self) -> Mapping[str, float]:
        """Its newest figures, under the names of :mod:`groundswell.replay.server_metrics`."""


class View:
    """Shows a run. :meth:`update` it a few times a second, and :meth:`close` it in the end, come what may.

    ``title`` stands above the picture; ``done`` requests were sent before, by a run that is resumed.
    """

    def __init__(
        self,
        plan: Ahead,
        metrics: Metrics | None = None,
        *,
        title: str = "",
        done: int = 0,
        file: IO[str] | None = None,
    ) -> None:
        self.recent = Recent()
        self._plan, self._metrics, self._title, self._done = plan, metrics, title, done
        self._file = file or sys.stderr
        self._course = Course(max(plan.span_s / 64, 1.0))
        self._next_line_s: float | None = None
        self._live: Live | None = None
        if self._file.isatty():
            self._live = _live(self._file)

    def update(self, now_s: float, records: Sequence[Records], states: Sequence[tuple[int, ...]]) -> None:
        """Take what workers wrote since the last call (arrays of :data:`~.journal.RECORD`) and each one's newest state;
        show them. ``now_s`` is since the run's begin, and below 0 before it."""
        self.recent.add(now_s, records, states)
        if self._next_line_s is None:
            self._next_line_s = now_s + LINE_EVERY_S
        try:
            if self._live is not None:
                self._live.update(self._picture(self._live.console.width), refresh=True)
            elif now_s >= self._next_line_s:
                self._next_line_s = now_s + LINE_EVERY_S
                self._file.write(line_of(self._scene()) + "\n")
                self._file.flush()
        except OSError:  # whoever looked has gone; the run goes on
            self._live, self._next_line_s = None, math.inf

    def close(self) -> None:
        """Take the picture away, and give the terminal back as it was."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scene(self) -> Scene:
        server = self._metrics.latest() if self._metrics else {}
        name = self._metrics.server if self._metrics else None
        return Scene(
            self._title, self._plan.requests - self._done, self._plan.span_s, self.recent.figures(), server, name
        )

    def _picture(self, width: int) -> RenderableType:
        scene = self._scene()
        self._course.add(scene.figures.now_s, scene.figures.ttft.p99_s)
        return picture_of(scene, self._course.points, width)


def _live(file: IO[str]) -> Live | None:
    """A place on the terminal that can be drawn again and again; None where that cannot."""
    from rich.console import Console
    from rich.live import Live

    console = Console(file=file, highlight=False)
    if console.is_dumb_terminal:
        return None
    live = Live(console=console, auto_refresh=False, transient=True)
    live.start()
    return live
