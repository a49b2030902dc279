"""Workloads as files, one format a file: our own, and those that other tools replay.

A part is a frozen dataclass of the choices it leaves to a person. It names its file's ending, says for the docs who
reads it and what it keeps, and opens a **sink**, to which blocks are added one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import polars as pl

from groundswell.errors import DataError, UsageError
from groundswell.family import Family
from groundswell.formats._kept import dropped, held_by
from groundswell.prefix import expanded
from groundswell.table import REQUIRED, Workload
from groundswell.whole_file import appearing, faults_of

BY_ENDING = {".parquet": "parquet", ".jsonl": "jsonl", ".csv": "csv"}
"""The format of a file whose format is not said."""


Prefixes = Literal["ids", "runs", "none"]
"""How a format takes prefix blocks: an id each, in runs (:mod:`groundswell.prefix`), or not at all."""


class Sink(Protocol):
    """A file that is being written, by one thread."""

    notes: list[str]
    """What a person should know of how it was written, one sentence each; complete when it is closed."""

    def add(self, block: Workload) -> None:
        """Write ``block`` behind what was added before. Raises OSError or PolarsError where it cannot be written."""

    def close(self) -> None:
        """Write what is still held, and close the file."""

    def abort(self) -> None:
        """Close the file as it is; it will be removed."""


class Format(Protocol):
    """What a format says of itself."""

    ending: ClassVar[str]
    """How names of such files end."""
    reader: ClassVar[str]
    """The tool that reads it."""
    command: ClassVar[str]
    """The words that make the tool read ``trace`` with this ending."""
    keeps: ClassVar[tuple[str, ...]]
    """Which columns of a workload come back from such a file, beside times and lengths, and whether its dates do:
    names of :data:`groundswell.formats._kept.EVERYTHING`."""
    prefixes: ClassVar[Prefixes]
    """What its sink is handed where a workload has prefix blocks."""
    coarser: ClassVar[tuple[str, ...]]
    """What else it does not hold, in words."""

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""


FORMATS: Family[Format] = Family("formats", __name__)


def write(
    blocks: Iterable[Workload],
    path: str | Path,
    format: str | None = None,  # noqa: A002 (the word for it)
    metadata: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
    notes: list[str] | None = None,
) -> int:
    """Write blocks in time order to ``path``, one block in memory at a time, and say how many rows there were.

    ``format`` is the text of a part, such as ``mooncake`` or ``vllm:block_tokens=512``; None goes by the path's ending.
    ``metadata`` is kept by Parquet alone. ``progress`` is called with the rows of each block that was written, and to
    ``notes`` is added what a person should know of how the file was written.

    The blocks are pulled in the caller's thread. The file appears under its name when it is whole: until then, and
    after any failure, Ctrl-C included, there is nothing or what was there before. A device or a pipe is written to
    directly. The bytes depend on the rows alone, not on how they are cut into blocks.

    Raises :class:`UsageError` for a format or path that cannot be meant, :class:`DataError` for blocks that are not in
    order or differ in their columns, :class:`OutputError` where writing fails, and whatever ``blocks`` raises.
    """
    path = Path(path)
    part = FORMATS.build(format_of(path, format))
    blocks = expanded(blocks) if part.prefixes == "ids" else blocks
    rows, latest_s, any_block = 0, 0.0, False
    with appearing(path) as place:
        with faults_of(path):
            sink = part.open(place, metadata or {})
        try:
            for block in blocks:
                latest_s = _in_order(block, latest_s)
                with faults_of(path):
                    sink.add(block)
                any_block = True
                rows += len(block)
                if progress is not None:
                    progress(len(block))
            with faults_of(path):
                if not any_block:
                    sink.add(Workload(pl.DataFrame(schema=REQUIRED)))
                sink.close()
        except BaseException:
            sink.abort()
            raise
    if notes is not None:
        notes += sink.notes
    return rows


def format_of(path: Path, text: str | None) -> str:
    """The text of the format that a file is written in: ``text``, or what the path's ending says."""
    if text is not None:
        return text
    if path.suffix not in BY_ENDING:
        raise UsageError(
            f"{path}: its ending names no format; end it in {', '.join(BY_ENDING)}, or say one of {', '.join(FORMATS)}"
        )
    return BY_ENDING[path.suffix]


def dropped_by(text: str, workload: Workload) -> list[str]:
    """What of ``workload`` a file of the format ``text`` does not hold, in words: nothing where all comes back.

    Says nothing of what is merely coarser there, such as times.
    """
    return dropped(FORMATS[text.partition(":")[0].strip()].keeps, held_by(workload))


def _in_order(block: Workload, latest_s: float) -> float:
    """The last arrival of ``block``, which must not begin before ``latest_s``."""
    if not len(block):
        return latest_s
    arrival = block.frame["arrival_s"]
    if arrival[0] < latest_s:
        raise DataError(
            f"blocks are not in time order: one begins at {arrival[0]:g} s after one that ends at {latest_s:g} s"
        )
    return float(arrival[-1])


def describe() -> str:
    """All formats as a Markdown table, for the docs."""
    lines = ["| format | file | read by | does not hold |", "|---|---|---|---|"]
    for name in FORMATS:
        part = FORMATS[name]
        lost = ", ".join([*part.coarser, *dropped(part.keeps)]) or "nothing"
        lines.append(f"| `{name}` | `{part.ending}` | {part.reader} | {lost} |")
    return "\n".join(lines) + "\n"


from groundswell.formats.reading import read  # noqa: E402, F401 (it needs what is above)
