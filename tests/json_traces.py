"""Small files of every JSON format that is read, made by hand from the published schemas, with the traps of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from groundswell.formats import FORMATS
from groundswell.formats.reading import Trace, read
from groundswell.formats.reading.source import examine

Rows = list[dict[str, Any]]


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def saved(folder: Path, rows: Iterable[Mapping[str, Any]] | str, name: str = "trace.jsonl") -> Path:
    path = folder / name
    path.write_text(rows if isinstance(rows, str) else lines(rows), encoding="utf-8")
    return path


def table(trace: Trace) -> pl.DataFrame:
    """All rows, clients as text, arrivals on the file's own clock where it has dates."""
    frame = pl.concat([block.frame.with_columns(pl.col("client").cast(pl.String)) for block in trace])
    return frame.with_columns(pl.col("arrival_s") + trace.metadata.get("start_unix_s", 0.0))


def read_rows(folder: Path, rows: Rows | str, form: str | None = None) -> pl.DataFrame:
    return table(read(saved(folder, rows), form))


def claimed(path: Path) -> list[str]:
    """The formats that recognise a file."""
    head = examine(path).head
    readable = [name for name in FORMATS if hasattr(FORMATS[name], "recognises")]
    return [name for name in readable if FORMATS[name].recognises(head)]  # type: ignore[attr-defined]


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def pairs(**values: Any) -> list[dict[str, Any]]:
    """Attributes as OTLP writes them; ``__`` stands for a dot."""
    kinds = {int: "intValue", str: "stringValue", float: "doubleValue"}
    return [
        {"key": key.replace("__", "."), "value": {kinds[type(v)]: str(v) if type(v) is int else v}}
        for key, v in values.items()
    ]


MOONCAKE: Rows = [
    {"timestamp": 0, "input_length": 1100, "output_length": 7, "hash_ids": [0, 1, 2]},
    {"timestamp": 3000, "input_length": 600, "output_length": 1, "hash_ids": [0, 5]},
    {"timestamp": 3000, "input_length": 5, "output_length": 0, "hash_ids": [6]},
]
VLLM: Rows = [
    {"timestamp": 0.0, "input_length": 40, "output_length": 7, "hash_ids": [0, 1, 2]},
    {"timestamp": 0.512345, "input_length": 16, "output_length": 1, "hash_ids": [0]},
    {"timestamp": 2.25, "input_length": 17, "output_length": 2, "hash_ids": [0, 9]},
]
AIPERF: Rows = [
    {"timestamp": 0, "session_id": "a", "input_length": 10, "output_length": 5},
    {"timestamp": 100, "session_id": "b", "input_length": 1, "output_length": 1},
    {"delay": 1000, "session_id": "a", "input_length": 3, "output_length": 2},
    {"timestamp": 5000.5, "session_id": "a", "input_length": 1, "output_length": 2},
    {"delay": 500, "session_id": "a", "text_input": "hello wor", "output_length": 2},
    {"timestamp": 7000, "input_length": 7, "output_length": 2},
    {"delay": 500, "session_id": "b", "messages": [said("user", "abcd"), said("user", None)], "output_length": 2},
    {"delay": 500, "session_id": "b", "payload": {"prompt": "abcd", "max_tokens": 9, "model": "m"}},
]
BAILIAN: Rows = [
    {
        "chat_id": chat,
        "parent_chat_id": parent,
        "timestamp": 61.114 + i,
        "input_length": 20,
        "output_length": 9,
        "type": kind,
        "turn": turn,
        "hash_ids": [1, 2 + i],
    }
    for i, (chat, parent, kind, turn) in enumerate(
        [
            (159, -1, "text", 1),
            (160, 159, "text", 2),
            (161, 160, "image", 3),
            (170, 3, "search", 4),  # its parent came before the file began
            (171, 3, None, 4),
            (172, 171, "file", 5),
            (162, 161, "text", 4),
        ]
    )
]
WILDCHAT: Rows = [
    {
        "conversation_hash": "h1",
        "model": "gpt-4",
        "timestamp": "2023-04-09T00:02:53+00:00",
        "hashed_ip": "ip1",
        "conversation": [
            said("user", "abcd" * 3),
            said("assistant", "x" * 9),
            said("user", "y"),
            said("assistant", "zé"),
        ],
    },
    {
        "conversation_hash": "h2",
        "model": "gpt-3.5",
        "timestamp": "2023-04-09 00:01:00",
        "hashed_ip": None,
        "conversation": [said("user", None), said("assistant", None)],
    },
    {"conversation_hash": "h3", "timestamp": {"$date": "2023-04-09T00:00:00Z"}, "conversation": []},
]
SPANS: Rows = [
    {
        "trace_id": "t1",
        "span_id": "1",
        "start_time": 1716622997.5,
        "status": {"code": 0},
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "gen_ai.response.finish_reasons": ["stop"],
            "user.id": "ann",
        },
    },
    {"trace_id": "t1", "span_id": "2", "start_time": 1716622996.5, "attributes": {"http.method": "GET"}},
    {
        "trace_id": "t1",
        "span_id": "3",
        "start_time": 1716622996.5,
        "attributes": {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 5,
        },
    },
    {
        "trace_id": "t2",
        "span_id": "4",
        "start_time": 1716622990.25,
        "status": {"code": 2},
        "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "error.type": "timeout"},
    },
    {
        "trace_id": "t1",
        "span_id": "5",
        "start_time": 1716622991.0,
        "attributes": {"gen_ai.usage.prompt_tokens": 8, "gen_ai.usage.completion_tokens": 2, "user.id": "bob"},
    },
]
OTLP: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {"attributes": pairs(service__name="shop")},
            "scopeSpans": [
                {
                    "scope": {"name": "x"},
                    "spans": [
                        {
                            "traceId": span["trace_id"],
                            "spanId": span["span_id"],
                            "startTimeUnixNano": str(int(span["start_time"] * 1000)) + "000000",
                            "status": span.get("status", {}),
                            "attributes": [
                                pair
                                for key, value in span["attributes"].items()
                                for pair in (
                                    pairs(**{key: value})
                                    if not isinstance(value, list)
                                    else [{"key": key, "value": {"arrayValue": {"values": []}}}]
                                )
                            ],
                        }
                        for span in SPANS
                    ],
                }
            ],
        },
        {"resource": {}, "scopeSpans": []},
    ]
}
GATEWAY: Rows = [
    {
        "timestamp": "2024-05-01T10:00:02Z",
        "model": "gpt-4o",
        "user": "ann",
        "session_id": "s1",
        "status": 200,
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64, "image_tokens": 30, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
    },
    {
        "timestamp": 1714557600,
        "model": "gpt-4o",
        "user": "",
        "usage": None,
        "status": 429,
        "error": {"code": "rate_limit"},
    },
    {"timestamp": "1714557601500", "model": "o3", "user": "bob", "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
]

MADE: dict[str, tuple[str, str]] = {
    "mooncake": ("mooncake", lines(MOONCAKE)),
    "vllm": ("vllm", lines(VLLM)),
    "aiperf": ("aiperf", lines(AIPERF)),
    "bailian": ("bailian", lines(BAILIAN)),
    "wildchat": ("wildchat", lines(WILDCHAT)),
    "spans": ("otel", lines(SPANS)),
    "a list of spans": ("otel", json.dumps(SPANS, indent=1)),
    "spans of a session": ("otel", lines([{"session_id": "s", "spans": SPANS}])),
    "an export request a line": ("otel", lines([OTLP, OTLP])),
    "a document of spans": ("otel", json.dumps(OTLP, indent=2)),
    "gateway": ("gateway", lines(GATEWAY)),
}
"""Of each file its format and its text."""
