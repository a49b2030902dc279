"""The topics of a report: one file each, which turns a topic's figures into a section with charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from groundswell.report.axes import Clock
from groundswell.report.figure import Section
from groundswell.report.topics import (
    arrivals,
    clients,
    conversations,
    failures,
    lengths,
    modalities,
    prefixes,
    reasoning,
)
from groundswell.report.topics.context import Context

if TYPE_CHECKING:
    from groundswell.characterize.engine import Characterization

TOPICS: dict[str, tuple[Callable[[Any, Context], Section], str]] = {
    "arrivals": (arrivals.section, "there are too few requests"),
    "lengths": (lengths.section, "it has no numbers of tokens"),
    "clients": (clients.section, "it names no clients"),
    "modalities": (modalities.section, "it has no images, audio or video"),
    "reasoning": (reasoning.section, "it has no reasoning tokens"),
    "conversations": (conversations.section, "it names no conversations, and has no prefix blocks to infer them from"),
    "prefixes": (prefixes.section, "it has no ids of prefix blocks"),
    "failures": (failures.section, "it does not say what failed"),
}
"""Each topic's section, and what a trace lacks that has nothing of the topic."""


def sections(whole: Characterization) -> Iterator[Section]:
    """The section of every topic, in the order of the page."""
    context = Context(
        Clock.of(whole.summary.span_s, whole.source.get("start_unix_s"), whole.setting.midnight_s),
        tuple(client.name for client in whole.clients.top) if whole.clients is not None else (),
    )
    for name, (section, lacking) in TOPICS.items():
        figures = getattr(whole, name)
        silent = figures is None or (name == "clients" and figures.count < 2)
        yield Section(name, name.capitalize(), missing=lacking) if silent else section(figures, context)
