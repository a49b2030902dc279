"""Traces of JSON in other tools' formats: what their rows mean, and that no file is taken for another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from groundswell import formats
from groundswell.errors import DataError, UsageError
from groundswell.formats import FORMATS
from groundswell.formats.reading import read
from groundswell.formats.reading.source import examine
from json_traces import (
    AIPERF,
    BAILIAN,
    GATEWAY,
    MADE,
    MOONCAKE,
    OTLP,
    SPANS,
    VLLM,
    WILDCHAT,
    Rows,
    read_rows,
    said,
    saved,
    table,
)
from workloads import WRITTEN, random_workload

ROOT = Path(__file__).resolve().parent.parent
JSON_WRITTEN = [name for name in WRITTEN if FORMATS[name].ending == ".jsonl"]


def claimed(path: Path) -> list[str]:
    head = examine(path).head
    readable = [name for name in FORMATS if hasattr(FORMATS[name], "recognises")]
    return [name for name in readable if FORMATS[name].recognises(head)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("made", MADE)
def test_only_one_format_claims_a_file(made: str, tmp_path: Path) -> None:
    form, text = MADE[made]
    assert claimed(saved(tmp_path, text)) == [form]


@pytest.mark.parametrize("name", [*JSON_WRITTEN, "mooncake:block_tokens=16", "vllm:block_tokens=512"])
@pytest.mark.parametrize("rows", [1, 3, 200])
def test_what_a_format_wrote_it_alone_claims_and_reads_back(name: str, rows: int, tmp_path: Path) -> None:
    whole = random_workload(rows)
    formats.write([whole], tmp_path / "x.jsonl", name)
    assert claimed(tmp_path / "x.jsonl") == [name.partition(":")[0]]
    back = pl.concat([block.frame for block in read(tmp_path / "x.jsonl")])
    assert back["input_tokens"].to_list() == whole.input_tokens.tolist()
    assert back["output_tokens"].to_list() == whole.output_tokens.tolist()
    step = 0.00051 if name.startswith("mooncake") else 2e-6
    assert back["arrival_s"].to_list() == pytest.approx((whole.arrival_s - whole.arrival_s[0]).tolist(), abs=2 * step)


def test_a_file_of_nobodys_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is none of"):
        read(saved(tmp_path, [{"when": 1, "what": 2}]))


# Mooncake's and vLLM's


def test_mooncakes_own_trace_is_read_whole(public_data: Path) -> None:
    path = public_data / "mooncake" / "conversation_trace.jsonl"
    assert claimed(path) == ["mooncake"]
    trace = read(path)
    frame = table(trace)
    assert trace.metadata["prefix_block_tokens"] == 512
    assert frame.height == 12_031
    assert frame["prefix_blocks"].list.len().to_list() == [-(-n // 512) for n in frame["input_tokens"]]
    assert frame["arrival_s"].max() == pytest.approx(3536.999)


def timed(times: list[Any], block: int, lengths: tuple[int, ...] = (1000, 700, 1500)) -> Rows:
    return [
        {"timestamp": t, "input_length": n, "output_length": 1, "hash_ids": list(range(-(-n // block)))}
        for t, n in zip(times, lengths, strict=True)
    ]


@pytest.mark.parametrize(
    ("rows", "form", "block"),
    [
        (timed([0, 3000, 6000], 512), "mooncake", 512),
        (timed([0, 1, 2], 512), "mooncake", 512),
        (timed([0, 3000, 6000], 16), "mooncake", 16),
        (timed([0, 3000, 6000], 64), "mooncake", 64),
        (timed([0.0, 3000.0, 6000.0], 512), "mooncake", 512),
        (timed([0.5, 1234.125, 6000.0], 512), "mooncake", 512),
        (timed([0.0, 0.123456, 7000.0], 512), "vllm", 512),
        (timed([0.0, 1.5, 3.25], 512), "vllm", 512),
        (timed([0.0, 1.5, 3.25], 16), "vllm", 16),
        (timed([0.0, 300.0, 600.0], 16), "vllm", 16),
        (timed([0.0, 1.0, 2.0], 16), "vllm", 16),
        (timed([0.0, 0.5, 1.0], 16, (3, 4, 5)), "vllm", 16),
        (timed([0, 10, 20], 16, (3, 4, 5)), "mooncake", 512),
        (timed([0, 10, 20], 24), "mooncake", 24),
    ],
)
def test_milliseconds_and_seconds_are_told_apart_by_content(rows: Rows, form: str, block: int, tmp_path: Path) -> None:
    path = saved(tmp_path, rows)
    trace = read(path)
    assert claimed(path) == [form]
    assert trace.metadata["prefix_block_tokens"] == block
    unit = 1000 if form == "mooncake" else 1
    assert table(trace)["arrival_s"].to_list() == [(row["timestamp"] - rows[0]["timestamp"]) / unit for row in rows]


def test_whole_numbers_with_vllms_blocks_are_read_as_ms_and_a_note_says_so(tmp_path: Path) -> None:
    path = saved(tmp_path, timed([0, 5, 9], 16))
    trace = read(path)
    assert table(trace)["arrival_s"][-1] == pytest.approx(0.009)
    assert any("--format vllm" in note for note in trace.reading.notes)
    assert table(read(path, "vllm"))["arrival_s"][-1] == 9.0


def test_ids_that_fit_no_block_are_said_to(tmp_path: Path) -> None:
    rows = [{**MOONCAKE[0], "hash_ids": [1] * n} for n in (2, 9)]
    trace = read(saved(tmp_path, rows))
    assert table(trace)["prefix_blocks"].list.len().to_list() == [2, 9]
    assert any("No one block size fits" in note for note in trace.reading.notes)


def test_a_prompt_without_ids_has_no_blocks_and_ids_of_null_are_left_out(tmp_path: Path) -> None:
    rows = [MOONCAKE[0], {**MOONCAKE[1], "hash_ids": None}, {**MOONCAKE[2], "hash_ids": [6, None]}]
    assert read_rows(tmp_path, rows)["prefix_blocks"].to_list() == [[0, 1, 2], [], [6]]


def test_unix_milliseconds_are_dates(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, [{**row, "timestamp": 1_700_000_000_000 + row["timestamp"]} for row in MOONCAKE]))
    assert table(trace)["arrival_s"].to_list() == [1_700_000_000.0, 1_700_000_003.0, 1_700_000_003.0]
    assert trace.metadata["start_unix_s"] == 1_700_000_000.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input_length": -5}, "line 2: column 'input_length' is -5"),
        ({"output_length": 2**31}, "line 2: column 'output_length' is 2147483648"),
        ({"output_length": 1.5}, "line 2: column 'output_length' is 1.5"),
        ({"timestamp": None}, "line 2: column 'timestamp' is empty"),
        ({"hash_ids": "0,1"}, "line 2: column 'hash_ids'"),
    ],
)
def test_a_value_that_cannot_be_meant_is_told_with_its_line(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = saved(tmp_path, [MOONCAKE[0], {**MOONCAKE[1], **change}, MOONCAKE[2]])
    with pytest.raises(DataError, match=told):
        table(read(path))
    trace = read(path, bad_rows="skip")
    assert table(trace).height == 2
    assert trace.reading.skipped == 1


@pytest.mark.parametrize(("form", "rows"), [("mooncake", MOONCAKE), ("vllm", VLLM), ("bailian", BAILIAN)])
def test_a_missing_column_is_named_beside_those_there_are(form: str, rows: Rows, tmp_path: Path) -> None:
    path = saved(tmp_path, [{k: v for k, v in row.items() if k != "output_length"} for row in rows])
    with pytest.raises(UsageError, match=r"'output_length'; it has .*input_length"):
        table(read(path, form))


# AIPerf's


def test_turns_of_a_session_are_added_up_and_follow_each_other(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, AIPERF))
    frame = table(trace)
    by_session = frame.filter(pl.col("conversation").is_not_null()).partition_by("conversation", maintain_order=True)
    a, b = by_session
    assert a["arrival_s"].to_list() == [0.0, 1.0, 5.0005, 5.5005]
    assert a["input_tokens"].to_list() == [10, 10 + 5 + 3, 18 + 2 + 1, 21 + 2 + 3]  # 9 characters are 3 tokens
    assert a["turn"].to_list() == [1, 2, 3, 4]
    assert a["think_s"].to_list() == [None, 1.0, None, 0.5]
    assert b["arrival_s"].to_list() == pytest.approx([0.1, 0.6, 1.1])
    assert b["input_tokens"].to_list() == [1, 3, 6]
    assert b["output_tokens"].to_list() == [1, 2, 9]  # a payload allows 9
    alone = frame.filter(pl.col("conversation").is_null())
    assert alone.select("arrival_s", "input_tokens", "turn").rows() == [(7.0, 7, 1)]
    notes = " ".join(trace.reading.notes)
    assert all(word in notes for word in ("what is new", "delay", "4 characters"))


def test_rows_that_are_whole_prompts_are_not_added_up_when_said_so(tmp_path: Path) -> None:
    frame = table(read(saved(tmp_path, AIPERF), "aiperf:turns=cumulative,chars_per_token=3"))
    assert frame["input_tokens"].sort().to_list() == sorted([10, 1, 3, 1, 3, 7, 2, 2])


def test_ids_of_what_is_new_are_left_out_and_those_of_whole_prompts_kept(tmp_path: Path) -> None:
    path = saved(tmp_path, [{**row, "hash_ids": [1]} for row in AIPERF if "input_length" in row])
    delta, whole = table(read(path)), table(read(path, "aiperf:turns=cumulative"))
    assert "prefix_blocks" not in delta.columns
    assert whole["prefix_blocks"].to_list() == [[1]] * 5


def test_a_trace_without_times_cannot_be_placed(tmp_path: Path) -> None:
    rows = [{"session_id": "a", "input_length": 1, "output_length": 1, "delay": 3}]
    with pytest.raises(UsageError, match="no row has a 'timestamp'"):
        read(saved(tmp_path, rows))


def test_a_first_turn_without_a_time_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: column 'timestamp' is empty"):
        table(read(saved(tmp_path, [AIPERF[0], {**AIPERF[2], "session_id": "new"}])))


@pytest.mark.parametrize("text", ["aiperf:turns=half", "aiperf:chars_per_token=0", "wildchat:chars_per_token=x"])
def test_choices_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"turns must be|chars_per_token must be"):
        FORMATS.build(text)


# Bailian's


def test_a_conversation_is_the_chat_it_began_with(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, BAILIAN))
    frame = table(trace)
    assert frame["conversation"].to_list() == [159, 159, 159, 3, 3, 3, 159]
    assert frame["turn"].to_list() == [1, 2, 3, 4, 4, 5, 4]
    assert frame["client"].to_list() == ["text", "text", "image", "search", "(none)", "file", "text"]
    assert trace.metadata["client_is"] == "type"
    assert trace.metadata["prefix_block_tokens"] == 16


def test_bailian_without_blocks_turns_or_types_is_read_all_the_same(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k not in ("hash_ids", "turn", "type")} for row in BAILIAN]
    trace = read(saved(tmp_path, rows))
    assert set(table(trace).columns) == {"arrival_s", "client", "input_tokens", "output_tokens", "conversation"}
    assert "prefix_block_tokens" not in trace.metadata


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
