"""Traces of JSON in other tools' formats: what their rows mean, and that no file is taken for another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from groundswell import formats
from groundswell.errors import DataError, UsageError
from groundswell.formats import FORMATS
from groundswell.formats.reading import read
from json_traces import (
    AIPERF,
    BAILIAN,
    MADE,
    MOONCAKE,
    VLLM,
    Rows,
    claimed,
    read_rows,
    saved,
    table,
)
from workloads import READ_AS, WRITTEN, random_workload

JSON_WRITTEN = [name for name in WRITTEN if FORMATS[name].ending == ".jsonl"]


@pytest.mark.parametrize("made", MADE)
def test_only_one_format_claims_a_file(made: str, tmp_path: Path) -> None:
    form, text = MADE[made]
    assert claimed(saved(tmp_path, text)) == [form]


@pytest.mark.parametrize("name", [*JSON_WRITTEN, "mooncake:block_tokens=16", "vllm:block_tokens=512"])
@pytest.mark.parametrize("rows", [1, 3, 200])
def test_what_a_format_wrote_it_alone_claims_and_reads_back(name: str, rows: int, tmp_path: Path) -> None:
    whole = random_workload(rows)
    formats.write([whole], tmp_path / "x.jsonl", name)
    form = name.partition(":")[0]
    assert claimed(tmp_path / "x.jsonl") == [READ_AS.get(form, form)]
    back = pl.concat([block.frame for block in read(tmp_path / "x.jsonl")])
    assert back["input_tokens"].to_list() == whole.input_tokens.tolist()
    assert back["output_tokens"].to_list() == whole.output_tokens.tolist()
    step = 0.00051 if name.startswith(("mooncake", "dynamo")) else 2e-6
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
    trace = read(saved(tmp_path, rows), bad_rows="skip")
    assert any("No one block size fits" in note for note in trace.reading.notes)
    assert table(trace)["prefix_blocks"].list.len().to_list() == [2]
    with pytest.raises(DataError, match=r"line 2: column 'hash_ids' has 9 ids, more than .* 512 tokens in a prompt of"):
        table(read(trace.path))


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
    # a turn that has only a delay comes that long after a reply of 0.5 s and 0.02 s a token
    assert a["arrival_s"].to_list() == pytest.approx([0.0, 0.6 + 1.0, 5.0005, 5.0005 + 0.54 + 0.5])
    assert a["input_tokens"].to_list() == [10, 10 + 5 + 3, 18 + 2 + 1, 21 + 2 + 3]  # 9 characters are 3 tokens
    assert a["turn"].to_list() == [1, 2, 3, 4]
    assert a["think_s"].to_list() == [None, 1.0, None, 0.5]
    assert b["arrival_s"].to_list() == pytest.approx([0.1, 0.1 + 0.52 + 0.5, 0.1 + 2 * 0.52 + 0.02 + 2 * 0.5])
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
    path = saved(tmp_path, [{**row, "hash_ids": [i]} for i, row in enumerate(AIPERF) if "input_length" in row])
    delta, whole = table(read(path)), table(read(path, "aiperf:turns=cumulative"))
    assert "prefix_blocks" not in delta.columns
    assert sorted(whole["prefix_blocks"].to_list()) == [[0], [1], [2], [3], [5]]


def test_a_trace_without_times_cannot_be_placed(tmp_path: Path) -> None:
    rows = [{"session_id": "a", "input_length": 1, "output_length": 1, "delay": 3}]
    with pytest.raises(UsageError, match="no row has a 'timestamp'"):
        read(saved(tmp_path, rows))


def test_a_first_turn_without_a_time_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: column 'timestamp' is empty"):
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
