"""Our own columns as one JSON object a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats._kept import DATES, all_but
from groundswell.formats._lines import JsonLines
from groundswell.formats.layout import Head, Layout
from groundswell.formats.layout.mapped import mapped, ours


@FORMATS.register("jsonl")
@dataclass(frozen=True)
class Jsonl:
    """Every column of the workload, lists as lists."""

    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "anything that reads JSON"
    command: ClassVar[str] = "jq -s 'map(.output_tokens) | add' trace.jsonl"
    keeps: ClassVar[tuple[str, ...]] = all_but(DATES)
    prefixes: ClassVar[Prefixes] = "ids"
    coarser: ClassVar[tuple[str, ...]] = ("where it comes from", "clients that sent nothing")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        return JsonLines(place, lambda block: block.frame)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file has our columns."""
        return head.kind in ("jsonl", "json") and ours(head)

    def layout(self, head: Head) -> Layout:
        """How to read this file: columns of our names; others are passed over."""
        return mapped(head, {})
