"""OpenTelemetry spans of generative AI, as JSON (semantic conventions, "gen-ai-spans").

Read in the collector's form (OTLP/JSON: ``resourceSpans``, one document or one export request a line), and as spans
with a map of attributes, one a line or in a list, or ``spans`` of a session a line. Written as the second of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Prefixes, Sink, _spans
from groundswell.formats._clock import dates
from groundswell.formats._ids import id_numbers
from groundswell.formats._json_values import instants, is_json, tokens
from groundswell.formats._kept import DATES
from groundswell.formats._lines import JsonLines, input_length
from groundswell.formats.layout import Head, Layout
from groundswell.table import Workload

INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
REASON = ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens")
MODEL = ("gen_ai.request.model", "gen_ai.response.model")
CONVERSATION = ("gen_ai.conversation.id", "session.id")
USER = ("user.id", "enduser.id")
SERVICE = "service.name"
OPERATION = "gen_ai.operation.name"
ERROR = "error.type"
ATTRIBUTES = (*INPUT, *OUTPUT, *REASON, *MODEL, *CONVERSATION, *USER, SERVICE, OPERATION, ERROR)

_NOT_REQUESTS = ("invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "embeddings", "retrieval")
"""What an agent span counts, its requests count too; an embedding has no reply."""
_ERRORS = ("2", "ERROR", "STATUS_CODE_ERROR")

_LEFT_OUT = "Spans without token counts (tools, HTTP and the like), of agents and of embeddings were left out."
_FAILED = "Failed requests that state no token counts have 0."
_TRACES = "Requests without a conversation's id are of one conversation if they are of one trace."


@FORMATS.register("otel")
@dataclass(frozen=True)
class Otel:
    """One span a line: ``start_time``, ``trace_id``, ``attributes`` with ``gen_ai.usage.input_tokens`` and others."""

    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "what reads OpenTelemetry's spans as JSON"
    command: ClassVar[str] = "jq -s 'map(.attributes[\"gen_ai.usage.output_tokens\"]) | add' trace.jsonl"
    keeps: ClassVar[tuple[str, ...]] = (DATES, "client", "conversation", "model", "failed", "reason_tokens")
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs",)

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        writer = _Writer(dates(metadata), metadata.get("client_is") == "service")
        return JsonLines(place, writer.rows)

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether the file holds spans, in one of the forms."""
        return is_json(head) and _spans.shape_of(head) is not None

    def layout(self, head: Head) -> Layout:
        """How to read this file."""
        shape = _spans.shape_of(head)
        if shape is None:
            raise UsageError(
                f"{head.path}: no 'resourceSpans', 'spans' or 'attributes'; "
                f"it has {', '.join(head.columns) or 'no columns'}"
            )
        spans = _spans.Spans.of(head, shape, ATTRIBUTES)
        seen = _Seen.of(head, shape)
        metadata = {"dated": True, "client_is": "user" if seen.users else "service"}
        names = {
            "arrival_s": spans.start,
            "input_tokens": INPUT[0],
            "output_tokens": OUTPUT[0],
            "reason_tokens": REASON[0],
            "client": USER[0] if seen.users else SERVICE,
            "conversation": CONVERSATION[0],
            "model": MODEL[0],
        }
        said = {_LEFT_OUT: True, _FAILED: seen.failures, _TRACES: seen.conversations}
        notes = tuple(text for text, holds in said.items() if holds)
        return Layout(spans.raw, lambda frame: _requests(spans.table(frame), seen), metadata, names, notes)


@dataclass(frozen=True)
class _Seen:
    """What the first spans of a file say of themselves, so that a workload has no column of which nothing is known."""

    users: bool
    models: bool
    failures: bool
    """Whether spans have a status, be it empty, or name an error."""
    reasoning: bool
    conversations: bool
    """By id, or because several requests are of one trace."""

    @classmethod
    def of(cls, head: Head, shape: _spans.Shape) -> _Seen:
        first = list(_spans.spans_in(head, shape))
        spans = [(_spans.attribute_names(span), _spans.trace_of(span)) for span in first]
        names = set().union(*(attributes for attributes, _ in spans))
        traces = [trace for attributes, trace in spans if attributes & {*INPUT, *OUTPUT} and trace is not None]
        return cls(
            users=bool(names & set(USER)),
            models=bool(names & set(MODEL)),
            failures=ERROR in names or any("status" in span for span in first),
            reasoning=bool(names & set(REASON)),
            conversations=bool(names & set(CONVERSATION)) or len(set(traces)) < len(traces),
        )


def _requests(spans: pl.DataFrame, seen: _Seen) -> pl.DataFrame:
    """Of a table of spans, as :meth:`Spans.table` makes it, those that are requests."""
    failed = pl.col("status").is_in(_ERRORS).fill_null(False) | pl.col(ERROR).is_not_null()
    stated = pl.any_horizontal(pl.col(*INPUT, *OUTPUT).is_not_null())
    asked = pl.any_horizontal(pl.col(OPERATION, *MODEL).is_not_null())
    other = pl.col(OPERATION).is_in(_NOT_REQUESTS).fill_null(False)
    requests = spans.filter(~other & (stated | (failed & asked)))
    columns: list[pl.Expr | pl.Series] = [
        pl.col("line"),
        instants(requests["start"]).alias("arrival_s"),
        pl.coalesce(*(USER if seen.users else (SERVICE,))).alias("client"),
        _count(INPUT, failed).alias("input_tokens"),
        _count(OUTPUT, failed).alias("output_tokens"),
    ]
    if seen.models:
        columns.append(pl.coalesce(*MODEL).alias("model"))
    if seen.failures:
        columns.append(failed.alias("failed"))
    if seen.reasoning:
        columns.append(_number(pl.coalesce(*REASON, pl.lit("0"))).alias("reason_tokens"))
    if seen.conversations:
        conversation = requests.select(pl.coalesce(*CONVERSATION, "trace")).to_series()
        columns.append(id_numbers(conversation).alias("conversation"))
    return requests.select(columns)


def _number(text: pl.Expr) -> pl.Expr:
    return tokens(text.cast(pl.Float64, strict=False))


def _count(names: tuple[str, ...], failed: pl.Expr) -> pl.Expr:
    unstated = pl.all_horizontal(pl.col(*names).is_null())
    return pl.when(failed & unstated).then(0).otherwise(_number(pl.coalesce(*names)))


@dataclass
class _Writer:
    """What becomes of the blocks of one workload: spans that are numbered through."""

    date: pl.Expr
    services: bool
    used: int = 0

    def rows(self, block: Workload) -> pl.DataFrame:
        """A span a request."""
        there = block.frame.columns
        number = pl.int_range(self.used + 1, self.used + len(block) + 1, dtype=pl.Int64)
        self.used += len(block)
        attributes = [
            pl.lit("chat").alias(OPERATION),
            input_length(block).alias(INPUT[0]),
            pl.col("output_tokens").alias(OUTPUT[0]),
            pl.col("client").cast(pl.String).alias(SERVICE if self.services else USER[0]),
        ]
        if "reason_tokens" in there:
            attributes.append(pl.col("reason_tokens").alias(REASON[0]))
        if "model" in there:
            attributes.append(pl.col("model").alias(MODEL[0]))
        if "conversation" in there:
            attributes.append(pl.col("conversation").cast(pl.String).alias(CONVERSATION[0]))
        status = [_status()] if "failed" in there else []
        return block.frame.select(
            number.cast(pl.String).alias("trace_id"),
            number.cast(pl.String).alias("span_id"),
            self.date.alias("start_time"),
            pl.struct(attributes).alias("attributes"),
            *status,
        )


def _status() -> pl.Expr:
    code = pl.when(pl.col("failed")).then(pl.lit("ERROR")).otherwise(pl.lit("OK"))
    return pl.struct(code.alias("code")).alias("status")
