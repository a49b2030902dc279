"""Spans of OpenTelemetry in their several forms of JSON, as one flat table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import polars as pl

from groundswell.formats._json_values import values_at
from groundswell.formats.layout import Head

Shape = Literal["otlp", "session", "span"]
"""``resourceSpans`` as the collector writes them; objects with a list of ``spans``; one object a span."""

_LOOKED_AT = 1000  # spans of the file's beginning
_STARTS = ("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime", "start", "timestamp")
_TRACES = ("traceId", "trace_id")
_NESTED_TRACE = "context"  # where Python's console exporter has it
_VALUE = {"stringValue": pl.String(), "intValue": pl.String(), "doubleValue": pl.String()}
_PAIRS = pl.List(pl.Struct({"key": pl.String(), "value": pl.Struct(_VALUE)}))


def shape_of(head: Head) -> Shape | None:
    """In which form the file holds spans; None if it holds none."""
    if "resourceSpans" in head.columns:
        return "otlp"
    if any(_is_span(span) for spans in values_at(head.first, ("spans",)) for span in _items(spans)):
        return "session"
    return "span" if any(_is_span(row) for row in head.first) else None


def spans_in(head: Head, shape: Shape) -> Iterator[Mapping[str, Any]]:
    """The first spans of the file."""
    found: Iterator[Any] = iter(head.first)
    if shape == "session":
        found = (span for spans in values_at(head.first, ("spans",)) for span in _items(spans))
    elif shape == "otlp":
        found = (
            span
            for resources in values_at(head.first, ("resourceSpans",))
            for scopes in values_at(_items(resources), ("scopeSpans",))
            for spans in values_at(_items(scopes), ("spans",))
            for span in _items(spans)
        )
    return islice((span for span in found if isinstance(span, Mapping)), _LOOKED_AT)


def attribute_names(span: Mapping[str, Any]) -> set[str]:
    """The names of the attributes that have a value."""
    attributes = span.get("attributes")
    if isinstance(attributes, Mapping):
        return {str(name) for name, value in attributes.items() if value is not None}
    return {str(pair.get("key")) for pair in _items(attributes)}


def trace_of(span: Mapping[str, Any]) -> str | None:
    """The trace a span is of."""
    paths = [(name,) for name in _TRACES] + [(_NESTED_TRACE, "trace_id")]
    return next((str(trace) for path in paths for trace in values_at([span], path)), None)


def _is_span(row: Any) -> bool:
    """Whether an object has attributes and a place in a trace, or attributes of generative AI."""
    if not isinstance(row, Mapping) or not isinstance(row.get("attributes"), (Mapping, list)):
        return False
    placed = any(name in row for name in (*_TRACES, "spanId", "span_id"))
    return placed or any(name.startswith("gen_ai.") for name in attribute_names(row))


def _items(values: Any) -> list[Mapping[str, Any]]:
    return [item for item in values if isinstance(item, Mapping)] if isinstance(values, list) else []


@dataclass(frozen=True)
class Spans:
    """What to read of a file of spans, and how it becomes a table of one span a row."""

    shape: Shape
    attributes: tuple[str, ...]
    """The attributes that are asked for."""
    start: str
    """Where spans say when they began."""
    traces: tuple[str, ...]
    """Where they name their trace."""
    paired: bool
    """Whether attributes are a list of keys and values, not a map."""
    status: Mapping[str, pl.DataType] | None
    """The fields of ``status``; None if it is a text."""
    resource: bool
    """Whether each span brings its resource."""

    @classmethod
    def of(cls, head: Head, shape: Shape, attributes: tuple[str, ...]) -> Spans:
        """Made for the file that begins with ``head``."""
        first = list(spans_in(head, shape))
        names = {name for span in first for name in span}
        status = [span["status"] for span in first if span.get("status") is not None]
        keys = ("code", "status_code")
        return cls(
            shape=shape,
            attributes=attributes,
            start=next((name for name in _STARTS if name in names), _STARTS[0] if shape == "otlp" else _STARTS[2]),
            traces=tuple(name for name in (*_TRACES, _NESTED_TRACE) if name in names),
            paired=shape == "otlp" or any(isinstance(span.get("attributes"), list) for span in first),
            status=None if any(isinstance(s, (str, int)) for s in status) else dict.fromkeys(keys, pl.String()),
            resource=shape != "otlp" and any(isinstance(span.get("resource"), Mapping) for span in first),
        )

    @property
    def raw(self) -> dict[str, pl.DataType]:
        """The columns to read."""
        span = self._span()
        if self.shape == "span":
            return span
        spans = pl.List(pl.Struct(span))
        if self.shape == "session":
            return {"spans": spans}
        scopes = pl.List(pl.Struct({"spans": spans}))
        resource = pl.Struct({"attributes": _PAIRS})
        return {"resourceSpans": pl.List(pl.Struct({"resource": resource, "scopeSpans": scopes}))}

    def _span(self) -> dict[str, pl.DataType]:
        attributes = _PAIRS if self.paired else self._map()
        span: dict[str, pl.DataType] = {self.start: pl.String(), "attributes": attributes}
        for name in self.traces:
            span[name] = pl.Struct({"trace_id": pl.String()}) if name == _NESTED_TRACE else pl.String()
        span["status"] = pl.String() if self.status is None else pl.Struct(self.status)
        if self.resource:
            span["resource"] = pl.Struct({"attributes": self._map()})
        return span

    def _map(self) -> pl.Struct:
        return pl.Struct(dict.fromkeys(self.attributes, pl.String()))

    def table(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``line``, ``start``, ``trace``, ``status`` (in capitals) and all attributes as text, a row a span."""
        spans = self._unpacked(frame).with_row_index("span")
        own = self._values(spans, "attributes") if self.paired else spans.select(pl.col("attributes").struct.unnest())
        whole = self._values(spans, "resource") if self.shape == "otlp" else None
        if self.resource:
            whole = spans.select(pl.col("resource").struct.field("attributes").struct.unnest())
        if whole is not None:
            own = own.select(pl.coalesce(own[name], whole[name]).alias(name) for name in self.attributes)
        status = pl.col("status")
        if self.status is not None:
            status = pl.coalesce(status.struct.field(name) for name in self.status)
        traces = [
            pl.col(name).struct.field("trace_id") if name == _NESTED_TRACE else pl.col(name) for name in self.traces
        ]
        return spans.select(
            pl.col("line"),
            pl.col(self.start).alias("start"),
            pl.coalesce(*traces, pl.lit(None, pl.String)).alias("trace"),
            status.str.to_uppercase().alias("status"),
        ).hstack(own)

    def _unpacked(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A row a span, whatever they are packed in."""
        if self.shape == "span":
            return frame
        if self.shape == "session":
            spans = frame.select("line", pl.col("spans").alias("span"))
        else:
            scopes = _exploded(frame.select("line", pl.col("resourceSpans").alias("from")), "from").select(
                "line",
                pl.col("from").struct.field("resource").struct.field("attributes").alias("resource"),
                pl.col("from").struct.field("scopeSpans").alias("scope"),
            )
            spans = _exploded(scopes, "scope").select(
                "line", "resource", pl.col("scope").struct.field("spans").alias("span")
            )
        return _exploded(spans, "span").unnest("span")

    def _values(self, spans: pl.DataFrame, column: str) -> pl.DataFrame:
        """A column for each attribute, from a column of keys and values."""
        pairs = _exploded(spans.select("span", column), column).select(
            "span",
            pl.col(column).struct.field("key").alias("key"),
            pl.coalesce(pl.col(column).struct.field("value").struct.field(kind) for kind in _VALUE).alias("value"),
        )
        asked = pairs.filter(pl.col("key").is_in(self.attributes))
        wide = asked.pivot("key", on_columns=self.attributes, index="span", values="value", aggregate_function="first")
        return spans.select("span").join(wide, on="span", how="left", maintain_order="left").drop("span")


def _exploded(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """A row for each item of the lists in ``column``; those without items have none."""
    return frame.explode(column, empty_as_null=False, keep_nulls=False).filter(pl.col(column).is_not_null())
