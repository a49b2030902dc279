"""The whole characterization of a stream of blocks: every topic folded on all cores, then finished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol

import polars as pl

from groundswell.characterize import (
    arrivals,
    clients,
    conversations,
    failures,
    lengths,
    modalities,
    prefixes,
    reasoning,
)  # fmt: skip
from groundswell.characterize.figures import (
    ArrivalFigures,
    ClientFigures,
    ConversationFigures,
    FailureFigures,
    LengthFigures,
    ModalityFigures,
    PrefixFigures,
    ReasoningFigures,
)  # fmt: skip
from groundswell.characterize.findings import Finding, findings
from groundswell.characterize.setting import Setting, informed
from groundswell.errors import DataError
from groundswell.prefix import expanded
from groundswell.stats.folding import folded
from groundswell.stats.sample import Sample
from groundswell.summary import Figures, Summary
from groundswell.table import Workload


class Fold(Protocol):
    """What a topic remembers of the blocks it has seen."""

    @classmethod
    def of(cls, block: Workload, setting: Setting) -> Any:
        """What one block says."""

    def __add__(self, later: Any) -> Any:
        """What this and then ``later`` say."""

    def finish(self, setting: Setting, sample: pl.DataFrame) -> Any:
        """The figures, or None if the trace has nothing of this topic."""


TOPICS: dict[str, type[Fold]] = {
    "arrivals": arrivals.Fold,
    "lengths": lengths.Fold,
    "clients": clients.Fold,
    "modalities": modalities.Fold,
    "reasoning": reasoning.Fold,
    "conversations": conversations.Fold,
    "prefixes": prefixes.Fold,
    "failures": failures.Fold,
}


@dataclass(frozen=True, eq=False)
class Characterization:
    """What is in a trace. A topic that the trace says nothing of is None."""

    source: dict[str, Any]
    """Where the trace comes from and how it was read."""
    setting: Setting
    summary: Figures
    arrivals: ArrivalFigures | None = None
    lengths: LengthFigures | None = None
    clients: ClientFigures | None = None
    modalities: ModalityFigures | None = None
    reasoning: ReasoningFigures | None = None
    conversations: ConversationFigures | None = None
    prefixes: PrefixFigures | None = None
    failures: FailureFigures | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Folded:
    """Every topic's fold of the blocks so far. ``a + b`` is that of a's blocks and then b's."""

    summary: Summary = field(default_factory=Summary)
    sample: Sample = field(default_factory=Sample)
    topics: dict[str, Any] = field(default_factory=lambda: {name: fold() for name, fold in TOPICS.items()})

    @classmethod
    def of(cls, block: Workload, setting: Setting, level: int = 0) -> Folded:
        """The folds of one block, of a stream whose sample is at ``level`` so far."""
        if not len(block):
            return cls()
        topics = {name: fold.of(block, setting) for name, fold in TOPICS.items()}
        return cls(Summary.of(block), Sample.of(block, level), topics)

    def __add__(self, later: Folded) -> Folded:
        topics = {name: fold + later.topics[name] for name, fold in self.topics.items()}
        return Folded(self.summary + later.summary, self.sample + later.sample, topics)


def characterize(
    blocks: Iterable[Workload],
    setting: Setting | None = None,
    workers: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Characterization:
    """What is in ``blocks``, which come in time order: a list of workloads, a composition, or a trace that is read.

    Where the metadata, of ``blocks`` if none are given, say when second 0 was and how large prefix blocks are, the
    setting takes it from there; they may be filled while the blocks are read. Up to ``workers`` blocks (by default one
    a core) are folded at a time. Raises :class:`DataError` where there is no request at all, and whatever reading
    raises.
    """
    stream = expanded(blocks)
    first = next((block for block in stream if len(block)), None)
    if first is None:
        raise DataError("there are no requests to characterize")
    known = metadata if metadata is not None else getattr(blocks, "metadata", first.metadata)
    chosen = informed(setting or Setting(), known)
    whole = folded(
        chain([first], stream), lambda block, so_far: Folded.of(block, chosen, so_far.sample.level), Folded(), workers
    )
    return finish(whole, chosen, known, workers)


def finish(fold: Folded, setting: Setting, metadata: Mapping[str, Any], workers: int | None = None) -> Characterization:
    """The figures of every topic, and the findings."""
    sample = fold.sample.frame
    with ThreadPoolExecutor(workers) as pool:
        finished = pool.map(lambda topic: topic.finish(setting, sample), fold.topics.values())
        figures: dict[str, Any] = dict(zip(fold.topics, finished, strict=True))
    if figures["clients"] is not None and "client_is" in metadata:
        figures["clients"] = replace(figures["clients"], what=str(metadata["client_is"]))
    if figures["arrivals"] is not None and metadata.get("tick_s"):  # the reader sees ticks that waver, gaps do not
        figures["arrivals"] = replace(figures["arrivals"], tick_s=float(metadata["tick_s"]))
    whole = Characterization(dict(metadata), setting, fold.summary.finish(), **figures)
    return replace(whole, findings=tuple(findings(whole)))


def read_as(whole: Characterization, rows: int, skipped: int, notes: Sequence[str]) -> Characterization:
    """The characterization with what came of reading its trace, which every output of it shows."""
    return replace(whole, source={**whole.source, "rows": rows, "skipped": skipped, "notes": list(notes)})
