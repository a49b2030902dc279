"""From sessions of WEKA's kind to a workload: one row a request, those of sub-agents too."""

from __future__ import annotations

from typing import Any

import polars as pl

from groundswell.formats._block_sizes import too_many
from groundswell.formats._ids import id_numbers
from groundswell.formats._json_values import dated, finite, is_number, turn_number
from groundswell.formats.layout import REFUSED, Head, Layout
from groundswell.table import BLOCK_SIZE_KEY

NO_MODEL = "unknown"
"""The model of requests that name none: the format asks for one."""
_USUAL_BLOCK = 64

_REQUEST = {
    "t": pl.Float64(),
    "type": pl.String(),
    "model": pl.String(),
    "in": pl.Float64(),
    "out": pl.Float64(),
    "hash_ids": pl.List(pl.Int64()),
    "think_time": pl.Float64(),
}
_RAW: dict[str, pl.DataType] = {
    "id": pl.String(),
    "block_size": pl.Int64(),
    "hash_id_scope": pl.String(),
    "requests": pl.List(pl.Struct({**_REQUEST, "agent_id": pl.String(), "requests": pl.List(pl.Struct(_REQUEST))})),
}
_NAMES = {"arrival_s": "t", "input_tokens": "in", "output_tokens": "out", "think_s": "think_time", "conversation": "id"}

_OWN_CLOCK = (
    "Each session's times count from its own begin, so all sessions begin at once; when they begin is not in the trace."
)
_SUBAGENTS = "Requests of a sub-agent are a conversation of their own."


def sessions_layout(head: Head) -> Layout:
    """How to read sessions, of which each line, or each file of a folder, is one."""
    requests = [row["requests"] for row in head.first if isinstance(row.get("requests"), list)]
    begins = [
        first["t"] for session in requests if (first := _first(session)) is not None and is_number(first.get("t"))
    ]
    sizes = [
        row["block_size"] for row in head.first if isinstance(row.get("block_size"), int) and row["block_size"] > 0
    ]
    size = sizes[0] if sizes else _USUAL_BLOCK
    models = {r.get("model") for session in requests for r in session if isinstance(r, dict)} - {None, NO_MODEL}
    notes = [_OWN_CLOCK] if len(begins) > 1 and not any(begins) else []
    if any(isinstance(r, dict) and r.get("type") == "subagent" for session in requests for r in session):
        notes.append(_SUBAGENTS)

    def rows(frame: pl.DataFrame) -> pl.DataFrame:
        return _rows(frame, size, with_model=bool(models))

    return Layout(_RAW, rows, {"dated": dated(begins), BLOCK_SIZE_KEY: size}, _NAMES, tuple(notes))


def _first(session: list[Any]) -> dict[str, Any] | None:
    return session[0] if session and isinstance(session[0], dict) else None


def _rows(frame: pl.DataFrame, size: int, *, with_model: bool) -> pl.DataFrame:
    """A workload's columns from sessions, which without requests are rows without values, to be told of."""
    sessions = frame.with_columns(id_numbers(frame["id"]).alias("session"))
    told = sessions.explode("requests").unnest("requests")
    is_agent = (told["type"] == "subagent").fill_null(False)
    own = told.filter(~is_agent).with_columns(
        pl.col("session").alias("conversation"), pl.col("t").alias("arrival_s"), pl.lit(0, pl.UInt32).alias("agent")
    )
    parts = [own.drop("agent_id", "requests")]
    if is_agent.any():
        parts.append(_of_agents(told.filter(is_agent)))
    whole = pl.concat([part.select(parts[0].columns) for part in parts]).sort("line", maintain_order=True)
    within = ("line", "agent")
    before_s = pl.col("arrival_s").shift(1).over(within)
    place = pl.int_range(1, pl.len() + 1).over(within)
    # Ids of a session say nothing of those of another: each has its own range, far from all others.
    own_ids = pl.col("hash_id_scope").fill_null("local") != "global"
    base = pl.when(own_ids).then(pl.col("session") // 4).otherwise(0)
    ids = pl.col("hash_ids").fill_null([]).list.drop_nulls()
    return whole.select(
        "line",
        finite(pl.col("arrival_s")).alias("arrival_s"),
        pl.col("in").alias("input_tokens"),
        pl.col("out").alias("output_tokens"),
        "conversation",
        turn_number(place).alias("turn"),
        pl.when(place > 1).then("think_time").alias("think_s"),
        *([pl.when(pl.col("model") != NO_MODEL).then("model").alias("model")] if with_model else []),
        (ids + base).alias("prefix_blocks"),
        _refused(size, ids, place, before_s).alias(REFUSED),
    )


def _of_agents(entries: pl.DataFrame) -> pl.DataFrame:
    """The requests of sub-agents: their times are on the session's clock, or, where the first is before the sub-agent
    was started, on the sub-agent's own."""
    named = pl.concat_str("id", pl.col("agent_id").fill_null(""), separator="/")
    entries = entries.with_columns(
        id_numbers(entries.select(named.alias("name")).to_series()).alias("conversation"),
        pl.col("t").alias("start_s"),
        pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias("agent"),
    )
    inner = entries.select(
        *("line", "id", "block_size", "hash_id_scope", "session", "conversation", "start_s", "agent", "requests")
    )
    inner = inner.explode("requests", empty_as_null=False, keep_nulls=False).unnest("requests")
    first_s = pl.col("t").first().over("agent")
    moved = pl.when(first_s < pl.col("start_s")).then(pl.col("start_s")).otherwise(0.0)
    return inner.with_columns((pl.col("t") + moved).alias("arrival_s"))


def _refused(size: int, ids: pl.Expr, place: pl.Expr, before_s: pl.Expr) -> pl.Expr:
    """What is wrong with a request whose values do not fit each other, and null for others."""
    count, prompt = ids.list.len().cast(pl.Int64), pl.col("in").cast(pl.Int64, strict=False)
    many = "request {} of session {} has {} hash_ids, more than there are blocks of {} tokens in a prompt of {}"
    late = "request {} of session {} is at {} s, before the request that it follows, at {} s"
    other = "session {} has blocks of {} tokens, and the sessions before it of {}"
    return (
        pl.when(pl.col("block_size").fill_null(size) != size)
        .then(pl.format(other, "id", "block_size", pl.lit(size)))
        .when(too_many(count, prompt, size))
        .then(pl.format(many, place, "id", count, pl.lit(size), prompt))
        .when(pl.col("arrival_s") < before_s)
        .then(pl.format(late, place, "id", "arrival_s", before_s))
    )
