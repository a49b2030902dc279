"""What a page is made of."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundswell.report.words import Say, interval, number
from groundswell.stats.estimate import Estimate

Spec = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Figure:
    """A chart with its words: what it shows in a sentence, and how many things it rests on."""

    key: str
    """Its file name and its place on the page: lower case, digits and hyphens."""
    title: str
    caption: str
    n: str
    spec: Spec
    """In Vega-Lite, with its data, in the colours of the light theme."""


@dataclass(frozen=True)
class Verdict:
    """A cell of a table that judges: its ``kind`` (``yes``, ``no`` or ``open``) gives the colour."""

    kind: str
    symbol: str
    text: str


@dataclass(frozen=True)
class Cell:
    """A cell with a second line in small."""

    text: str
    small: str


@dataclass(frozen=True)
class Table:
    """A small table: the first column names the row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Verdict | Cell]]
    note: str = ""
    prose: Collection[int] = ()
    """The columns that hold text, in as many lines as it takes."""
    wide: bool = False
    """Whether it has the whole width, and is a list of rows on a phone, though its columns are few."""


@dataclass(frozen=True)
class Fact:
    """A figure in a line: its name, how it is said, and its interval where it has one."""

    label: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class Section:
    """One topic of a page. A topic that there is nothing of says why in ``missing``."""

    key: str
    title: str
    lead: str = ""
    facts: Sequence[Fact] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    missing: str = ""
    stacked: bool = False
    """Whether its figures stand below one another on the widest screen, too: they have the same x axis."""


@dataclass
class Facts:
    """Figures of a topic in a line each; those that are not known are left out."""

    rows: list[Fact] = field(default_factory=list)

    def add(self, label: str, figure: Estimate | float, say: Say = number) -> None:
        """A figure, with its interval if it has one."""
        estimate = figure if isinstance(figure, Estimate) else Estimate(float(figure))
        if math.isfinite(estimate.value):
            self.rows.append(Fact(label, say(estimate.value), interval(estimate, say)))
