"""The log of an OpenAI-style gateway or proxy, one object a request, as LiteLLM, Helicone or OpenRouter write it.

The names that are known are in ``_gateway_names.py``. Written as OpenAI's own: ``usage`` with its details.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from groundswell.errors import UsageError
from groundswell.formats import FORMATS, Prefixes, Sink
from groundswell.formats import _gateway_names as names
from groundswell.formats._clock import dates
from groundswell.formats._ids import KEYS, id_numbers, key_names
from groundswell.formats._json_values import Path as Place
from groundswell.formats._json_values import (
    at,
    dated,
    filled,
    found,
    instants,
    is_json,
    schema_of,
    texts_at,
    tokens,
    values_at,
)
from groundswell.formats._kept import all_but
from groundswell.formats._lines import JsonLines
from groundswell.formats.layout import Head, Layout
from groundswell.table import ITEM_COLUMNS, Workload

_FAILURES = ("failure", "failed", "fail", "error", "errored", "exception", "timeout", "timed_out", "rejected", "denied")
_NO_ERRORS = ("", "null", "none", "false", "{}", "[]", "0")
_CLIENTS = {"user": names.USER, "API key": (*names.KEY_NAME, *names.KEY), "team": names.TEAM}

_FAILED = "Failed requests that state no token counts have 0."
_CREATED = "Times are those at which replies began, as the log says nothing of when requests came."
_ANTHROPIC = "Tokens read from and written to the cache are counted to the prompt."
_ONE_ITEM = "All image or audio tokens of a request are taken for one item, as only their sum is logged."


@FORMATS.register("gateway")
@dataclass(frozen=True)
class Gateway:
    """``timestamp``, ``model``, ``user`` and ``usage`` with ``prompt_tokens``, ``completion_tokens`` and details."""

    ending: ClassVar[str] = ".jsonl"
    reader: ClassVar[str] = "what reads the logs of OpenAI-style gateways"
    command: ClassVar[str] = "jq -s 'map(.usage.completion_tokens) | add' trace.jsonl"
    keeps: ClassVar[tuple[str, ...]] = all_but("turn", "think_s", "video_tokens", "prefix_blocks")
    prefixes: ClassVar[Prefixes] = "none"
    coarser: ClassVar[tuple[str, ...]] = ("times below 1 µs", "the size of each image and audio")

    def open(self, place: Path, metadata: Mapping[str, Any]) -> Sink:
        """A sink that writes to ``place``."""
        date = dates(metadata)
        return JsonLines(place, lambda block: _rows(block, date))

    @staticmethod
    def recognises(head: Head) -> bool:
        """Whether rows have a time and, together, the counts of a prompt and of a reply."""
        if not is_json(head) or {"arrival_s", "attributes", "input_length", "hash_ids"} & set(head.columns):
            return False
        return _time(head) is not None and _counts(head) is not None

    def layout(self, head: Head) -> Layout:
        """How to read this file."""
        time, counts = _time(head), _counts(head)
        if time is None or counts is None:
            what = "when a request came" if time is None else "its prompt_tokens and completion_tokens"
            raise UsageError(f"{head.path}: nothing says {what}; it has {', '.join(head.columns) or 'no columns'}")
        reader = _Reader.of(head, time, counts)
        return Layout(reader.raw, reader.rows, reader.metadata(head), reader.names(), reader.notes())


def _time(head: Head) -> Place | None:
    """Where the log says when a request came."""
    for place in found(head.first, names.START):
        seconds = instants(texts_at(head.first, place)).drop_nulls()
        if seconds.len() and (place not in names.DURATIONS or dated(seconds)):
            return place
    return None


@dataclass(frozen=True)
class _Counts:
    """Where the token counts are."""

    prompt: Place
    reply: Place
    cached: tuple[Place, ...]
    reason: Place | None
    items: Mapping[str, Place]


def _counts(head: Head) -> _Counts | None:
    """Where the counts of a request stand: the first body that has both of them."""

    def first(body: str, options: tuple[str, ...]) -> Place | None:
        return next(iter(found(head.first, (tuple(f"{body}{name}".split(".")) for name in options))), None)

    for body in names.BODIES:
        prompt, reply = first(body, names.INPUT), first(body, names.OUTPUT)
        if prompt is not None and reply is not None:
            items = {column: first(body, options) for column, options in names.ITEMS.items()}
            return _Counts(
                prompt=prompt,
                reply=reply,
                cached=found(head.first, ((*prompt[:-1], name) for name in names.CACHE)),
                reason=first(body, names.REASON),
                items={column: place for column, place in items.items() if place is not None},
            )
    return None


@dataclass(frozen=True)
class _Reader:
    """Where things are in the objects of one log."""

    time: Place
    counts: _Counts
    client: Place | None
    client_is_key: bool
    conversation: Place | None
    model: Place | None
    status: tuple[Place, ...]
    error: tuple[Place, ...]

    @classmethod
    def of(cls, head: Head, time: Place, counts: _Counts) -> _Reader:
        """Made for the log that begins with ``head``."""
        client = next(iter(found(head.first, (place for places in _CLIENTS.values() for place in places))), None)
        # A key that is null in all the first rows may have a value in the first failure, far behind them.
        errors = tuple(place for place in names.ERROR if _named(head, place))
        return cls(
            time=time,
            counts=counts,
            client=client,
            client_is_key=client in names.KEY,
            conversation=next(iter(found(head.first, names.CONVERSATION)), None),
            model=next(iter(found(head.first, names.MODEL)), None),
            status=found(head.first, names.STATUS),
            error=errors,
        )

    @property
    def raw(self) -> dict[str, pl.DataType]:
        """The columns to read."""
        counts = self.counts
        numbers = [counts.prompt, counts.reply, *counts.cached, counts.reason, *counts.items.values()]
        texts = [self.time, self.client, self.conversation, self.model, *self.status, *self.error]
        types: dict[Place, pl.DataType] = {place: pl.String() for place in texts if place is not None}
        types.update({place: pl.Float64() for place in numbers if place is not None})
        return schema_of(types)

    def metadata(self, head: Head) -> dict[str, Any]:
        """What is known beforehand."""
        known: dict[str, Any] = {"dated": dated(instants(texts_at(head.first, self.time)).drop_nulls())}
        if self.client is not None:
            known["client_is"] = next((kind for kind, places in _CLIENTS.items() if self.client in places))
        return known

    def names(self) -> dict[str, str]:
        """Where each of a workload's columns comes from."""
        places = {
            "arrival_s": self.time,
            "input_tokens": self.counts.prompt,
            "output_tokens": self.counts.reply,
            "reason_tokens": self.counts.reason,
            "client": self.client,
            "conversation": self.conversation,
            "model": self.model,
            **self.counts.items,
        }
        return {column: ".".join(place) for column, place in places.items() if place is not None}

    def notes(self) -> tuple[str, ...]:
        """What a person should know of how this was read."""
        said = {
            _CREATED: self.time[-1] == "created",
            KEYS: self.client_is_key,
            _FAILED: bool(self.status or self.error),
            _ANTHROPIC: self._counts_cache,
            _ONE_ITEM: bool(self.counts.items),
        }
        return tuple(text for text, holds in said.items() if holds)

    @property
    def _counts_cache(self) -> bool:
        return self.counts.prompt[-1] == "input_tokens" and bool(self.counts.cached)

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A workload's columns."""
        failed = self._failed()
        items = {column: tokens(at(place)) for column, place in self.counts.items.items()}
        columns: list[pl.Expr | pl.Series] = [
            pl.col("line"),
            instants(frame.select(at(self.time)).to_series()).alias("arrival_s"),
            _or_failed(tokens(self._prompt(items)), at(self.counts.prompt), failed).alias("input_tokens"),
            _or_failed(tokens(at(self.counts.reply)), at(self.counts.reply), failed).alias("output_tokens"),
        ]
        if self.counts.reason is not None:
            columns.append(tokens(at(self.counts.reason).fill_null(0)).alias("reason_tokens"))
        columns += [
            pl.when(count > 0).then(pl.concat_list(count)).otherwise(pl.lit([], pl.List(pl.Int32))).alias(column)
            for column, count in items.items()
        ]
        if self.client is not None:
            client = filled(frame.select(at(self.client)).to_series())
            columns.append((key_names(client) if self.client_is_key else client).alias("client"))
        if self.conversation is not None:
            columns.append(id_numbers(filled(frame.select(at(self.conversation)).to_series())).alias("conversation"))
        if self.model is not None:
            columns.append(at(self.model).alias("model"))
        if self.status or self.error:
            columns.append(failed.alias("failed"))
        return frame.select(columns)

    def _prompt(self, items: Mapping[str, pl.Expr]) -> pl.Expr:
        """The prompt's text, with what was cached and without images and audio, which are counted apart."""
        cached = [at(place).fill_null(0) for place in self.counts.cached if self._counts_cache]
        apart = [count.fill_null(0) for count in items.values()]
        return at(self.counts.prompt) + sum(cached, pl.lit(0.0)) - sum(apart, pl.lit(0))

    def _failed(self) -> pl.Expr:
        """Whether a request failed: by a status of 400 and more or a word for it, or by an error."""
        signs = [pl.lit(False)]
        for place in self.status:
            text = at(place).str.to_lowercase()
            code = text.cast(pl.Float64, strict=False)
            signs.append(pl.when(code.is_not_null()).then(code >= 400).otherwise(text.is_in(_FAILURES)))
        signs += [~at(place).str.to_lowercase().is_in(_NO_ERRORS) for place in self.error]
        return pl.any_horizontal(sign.fill_null(False) for sign in signs)


def _named(head: Head, place: Place) -> bool:
    """Whether some row has a key at ``place``, with a value or null."""
    parents = values_at(head.first, place[:-1])
    return any(isinstance(parent, Mapping) and place[-1] in parent for parent in parents)


def _or_failed(count: pl.Expr, stated: pl.Expr, failed: pl.Expr) -> pl.Expr:
    """``count``, or 0 for a request that failed and states none."""
    return pl.when(failed & stated.is_null()).then(0).otherwise(count)


def _rows(block: Workload, date: pl.Expr) -> pl.DataFrame:
    there = block.frame.columns
    sums = {name: pl.col(name).list.sum().cast(pl.Int64) for name in ITEM_COLUMNS if name in there}
    prompt = pl.sum_horizontal(pl.col("input_tokens").cast(pl.Int64), *sums.values())
    usage = [prompt.alias("prompt_tokens"), pl.col("output_tokens").alias("completion_tokens")]
    details = [sums[name].alias(name) for name in names.ITEMS if name in sums]
    if details:
        usage.append(pl.struct(details).alias("prompt_tokens_details"))
    if "reason_tokens" in there:
        reason = pl.struct(pl.col("reason_tokens").alias("reasoning_tokens"))
        usage.append(reason.alias("completion_tokens_details"))
    columns = [date.alias("timestamp"), pl.col("client").cast(pl.String).alias("user")]
    if "model" in there:
        columns.append(pl.col("model"))
    if "conversation" in there:
        columns.append(pl.col("conversation").cast(pl.String).alias("session_id"))
    if "failed" in there:
        columns.append(pl.when(pl.col("failed")).then(500).otherwise(200).alias("status_code"))
    return block.frame.select(*columns, pl.struct(usage).alias("usage"))
