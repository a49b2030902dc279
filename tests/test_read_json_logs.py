"""Conversations with their text, spans and the logs of gateways: which requests they stand for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from groundswell import formats
from groundswell.errors import DataError, UsageError
from groundswell.formats.reading import read
from json_traces import (
    GATEWAY,
    MADE,
    OTLP,
    SPANS,
    WILDCHAT,
    claimed,
    read_rows,
    said,
    saved,
    table,
)

ROOT = Path(__file__).resolve().parent.parent

# Conversations with their text


def test_each_reply_is_a_request_with_all_before_it_as_its_prompt(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, WILDCHAT))
    first = table(trace).filter(pl.col("client") == "ip1")
    assert first.select("input_tokens", "output_tokens", "turn", "model").rows() == [
        (3, 3, 1, "gpt-4"),  # 12 characters, then 9
        (6, 1, 2, "gpt-4"),  # 22, then 2
    ]
    assert first["arrival_s"].to_list() == [1680998573.0] * 2
    notes = " ".join(trace.reading.notes)
    assert "estimated" in notes
    assert "at the time of their conversation" in notes


def test_no_text_of_a_conversation_is_kept(tmp_path: Path) -> None:
    formats.write(read(saved(tmp_path, WILDCHAT)), tmp_path / "x.jsonl", "jsonl")
    assert "abcd" not in (tmp_path / "x.jsonl").read_text()


@pytest.mark.parametrize(("dated", "seconds"), [("user", 0), ("assistant", 60)])
def test_turns_that_are_dated_have_their_own_times(dated: str, seconds: int, tmp_path: Path) -> None:
    talk = [
        {**turn, "timestamp": f"2023-04-09T00:0{i}:00Z" if turn["role"] == dated else None}
        for i, turn in enumerate(WILDCHAT[0]["conversation"])
    ]
    frame = read_rows(tmp_path, [{**WILDCHAT[0], "conversation": talk}])
    assert (frame["arrival_s"] - 1680998400).to_list() == [seconds, seconds + 120]


def test_wildchat_is_read_from_parquet_too(tmp_path: Path) -> None:
    frame = pl.DataFrame(WILDCHAT[:2]).with_columns(pl.col("timestamp").str.slice(0, 19).str.replace("T", " "))
    frame = frame.with_columns(pl.col("timestamp").str.to_datetime(time_zone="UTC"))
    frame.write_parquet(tmp_path / "x.parquet")
    assert claimed(tmp_path / "x.parquet") == ["wildchat"]
    assert table(read(tmp_path / "x.parquet")).equals(read_rows(tmp_path, WILDCHAT[:2]))


def test_both_sides_of_an_arena_battle_are_requests(tmp_path: Path) -> None:
    talk = [said("user", "hi"), said("assistant", "hello")]
    battle = {"question_id": "q", "model_a": "A", "model_b": "B", "tstamp": 1682351591.5, "judge": "u1"}
    frame = read_rows(tmp_path, [{**battle, "conversation_a": talk, "conversation_b": [*talk, *talk]}])
    assert frame.select("model", "turn", "input_tokens", "output_tokens").rows() == [
        ("A", 1, 1, 2),
        ("B", 1, 1, 2),
        ("B", 2, 3, 2),
    ]
    assert frame["conversation"].n_unique() == 2
    assert frame["client"].to_list() == ["u1"] * 3


def test_conversations_without_a_time_are_refused(tmp_path: Path) -> None:
    row = {"conversation_id": "q", "model": "A", "turn": 1, "conversation": [said("user", "a"), said("assistant", "b")]}
    with pytest.raises(UsageError, match="without a time"):
        read(saved(tmp_path, [row]))


def test_a_row_without_its_conversation_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: column 'conversation' is empty"):
        table(read(saved(tmp_path, [WILDCHAT[0], {**WILDCHAT[0], "conversation": None}])))


# OpenTelemetry's

EXPECTED = [
    (1716622990.25, "(none)", 0, 0, 0, "m", True),
    (1716622991.0, "bob", 8, 2, 0, None, False),
    (1716622997.5, "ann", 12, 5, 3, "m", False),
]
SPAN_COLUMNS = ("arrival_s", "client", "input_tokens", "output_tokens", "reason_tokens", "model", "failed")


@pytest.mark.parametrize("made", [made for made in MADE if MADE[made][0] == "otel"])
def test_spans_mean_the_same_in_each_of_their_forms(made: str, tmp_path: Path) -> None:
    text = MADE[made][1]
    trace = read(saved(tmp_path, text))
    frame = table(trace)
    copies = frame.height // 3
    assert frame.select(SPAN_COLUMNS).rows() == [row for row in EXPECTED for _ in range(copies)]
    t2, bob, ann = frame["conversation"][::copies]
    assert bob == ann != t2
    assert trace.metadata["client_is"] == "user"


def test_the_service_is_the_client_where_nobody_names_a_user(tmp_path: Path) -> None:
    text = json.dumps(OTLP).replace("user.id", "thread.id")
    trace = read(saved(tmp_path, text))
    assert table(trace)["client"].to_list() == ["shop"] * 3
    assert trace.metadata["client_is"] == "service"


def test_spans_of_the_console_exporter_are_read(tmp_path: Path) -> None:
    span = {
        "name": "chat m",
        "context": {"trace_id": "0xab", "span_id": "0x1", "trace_state": "[]"},
        "start_time": "2024-05-25T07:43:17.025000Z",
        "status": {"status_code": "ERROR"},
        "attributes": {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 2},
        "resource": {"attributes": {"service.name": "shop"}, "schema_url": ""},
    }
    frame = read_rows(tmp_path, [span, span])
    assert frame.select("arrival_s", "client", "failed").row(0) == (1716622997.025, "shop", True)
    assert frame["conversation"].n_unique() == 1


def test_spans_of_one_request_a_trace_say_nothing_of_conversations(tmp_path: Path) -> None:
    assert "conversation" not in read_rows(tmp_path, [SPANS[0], {**SPANS[4], "trace_id": "t9"}]).columns


def test_spans_that_do_not_know_of_failures_or_reasoning_have_no_such_columns(tmp_path: Path) -> None:
    columns = read_rows(tmp_path, [{k: v for k, v in SPANS[4].items() if k != "status"}]).columns
    assert not {"failed", "reason_tokens", "model"} & set(columns)


# Gateways'


def test_a_gateways_log_is_read_with_its_failures_and_its_details(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, GATEWAY))
    frame = table(trace)
    assert frame["arrival_s"].to_list() == [1714557600.0, 1714557601.5, 1714557602.0]
    assert frame["client"].to_list() == ["(none)", "bob", "ann"]
    assert frame["input_tokens"].to_list() == [0, 3, 70]  # 30 of 100 are an image
    assert frame["image_tokens"].to_list() == [[], [], [30]]
    assert frame["audio_tokens"].to_list() == [[], [], []]
    assert frame["output_tokens"].to_list() == [0, 1, 50]
    assert frame["reason_tokens"].to_list() == [0, 0, 20]
    assert frame["failed"].to_list() == [True, False, False]
    assert frame["conversation"].null_count() == 2
    assert trace.metadata["client_is"] == "user"


LITELLM = {
    "id": "a",
    "call_type": "acompletion",
    "startTime": 1700000000.5,
    "endTime": 1700000002.5,
    "model": "gpt-4",
    "status": "success",
    "prompt_tokens": 4,
    "completion_tokens": 5,
    "end_user": "",
    "error_str": None,
    "metadata": {"user_api_key_hash": "88dc28d0", "user_api_key_alias": None},
}
HELICONE = {
    "request_created_at": "2024-02-03T04:05:06.789Z",
    "response_created_at": "2024-02-03T04:05:09Z",
    "request_id": "r",
    "request_user_id": "u",
    "response_status": 200,
    "request_model": "gpt-4",
    "prompt_tokens": 4,
    "completion_tokens": 5,
    "request_properties": {"Helicone-Session-Id": "s"},
}
OPENROUTER = {
    "id": "gen-1",
    "created_at": "2024-02-03 04:05:06.789+00",
    "model": "x/y",
    "tokens_prompt": 9,
    "tokens_completion": 9,
    "native_tokens_prompt": 4,
    "native_tokens_completion": 5,
    "native_tokens_reasoning": 1,
}
BATCH = {
    "id": "batch_req_1",
    "custom_id": "1",
    "error": None,
    "response": {
        "status_code": 200,
        "body": {"created": 1700000000, "model": "m", "usage": {"prompt_tokens": 4, "completion_tokens": 5}},
    },
}
ANTHROPIC = {
    "time": "2024-02-03T04:05:06Z",
    "request_time": 1.5,
    "api_key": "sk-secret",
    "status": 200,
    "response": {
        "model": "claude",
        "usage": {
            "input_tokens": 1,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "output_tokens": 5,
        },
    },
}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (LITELLM, {"arrival_s": 1700000000.5, "model": "gpt-4", "failed": False}),
        (HELICONE, {"arrival_s": 1706933106.789, "client": "u", "failed": False}),
        (OPENROUTER, {"arrival_s": 1706933106.789, "reason_tokens": 1}),
        (BATCH, {"arrival_s": 1700000000.0, "model": "m", "failed": False}),
        (ANTHROPIC, {"arrival_s": 1706933106.0, "client": "key-746b4ad1ca91", "model": "claude"}),
    ],
)
def test_gateways_and_clients_of_many_makers_are_read(
    row: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    path = saved(tmp_path, [row])
    assert claimed(path) == ["gateway"]
    read_row = table(read(path)).row(0, named=True)
    assert (read_row["input_tokens"], read_row["output_tokens"]) == (4, 5)
    assert {name: read_row[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("place", ["api_key", "key"])
def test_no_api_key_gets_into_a_workload(place: str, tmp_path: Path) -> None:
    rows = [{**GATEWAY[2], "user": None, place: f"sk-secret-{i}"} for i in (1, 2, 1)]
    trace = read(saved(tmp_path, rows))
    formats.write(trace, tmp_path / "x.jsonl", "jsonl")
    assert "secret" not in (tmp_path / "x.jsonl").read_text()
    assert table(trace)["client"].n_unique() == 2
    assert trace.metadata["client_is"] == "API key"


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"status": "success"}, False),
        ({"status": "failure"}, True),
        ({"status": "incomplete"}, False),
        ({"status": 200}, False),
        ({"status": "503"}, True),
        ({"status": 200, "error": None}, False),
        ({"status": 200, "error": {}}, False),
        ({"status": 200, "error": "boom"}, True),
    ],
)
def test_a_failure_is_a_status_or_an_error(change: dict[str, Any], failed: bool, tmp_path: Path) -> None:
    row = {k: v for k, v in GATEWAY[2].items() if k not in ("status", "error")}
    assert read_rows(tmp_path, [{**row, **change}])["failed"].to_list() == [failed]
    assert "failed" not in read_rows(tmp_path, [row]).columns


def test_a_request_that_did_not_fail_and_states_no_counts_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: column 'usage.prompt_tokens' is empty"):
        table(read(saved(tmp_path, [GATEWAY[0], {**GATEWAY[0], "usage": None}])))


def test_a_duration_is_no_time(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    assert claimed(saved(tmp_path, [{"request_time": 0.5, "usage": usage}])) == []
    rows = [{"request_time": 0.5, "created": 1700000000, "usage": usage}]
    assert read_rows(tmp_path, rows)["arrival_s"].to_list() == [1700000000.0]


def test_the_page_names_every_place_a_gateway_is_looked_at() -> None:
    from groundswell.formats import _gateway_names as names

    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    places = [*names.START, *names.USER, *names.KEY_NAME, *names.KEY, *names.TEAM, *names.CONVERSATION, *names.MODEL]
    dotted = [".".join(place) for place in (*places, *names.STATUS, *names.ERROR)]
    plain = [
        *names.INPUT,
        *names.OUTPUT,
        *names.CACHE,
        *names.REASON,
        *(n for kind in names.ITEMS.values() for n in kind),
    ]
    bodies = [body.removesuffix(".") for body in names.BODIES if body]
    assert not [name for name in (*dotted, *plain, *bodies) if f"`{name}`" not in page]
