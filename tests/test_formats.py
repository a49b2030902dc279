"""What every format promises, and what each reader's own rules ask of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell import formats
from groundswell._version import __version__
from groundswell.errors import DataError, UsageError
from groundswell.formats import FORMATS
from groundswell.table import Workload
from workloads import WRITTEN, cut, random_workload

ROOT = Path(__file__).resolve().parent.parent
WHOLE = random_workload(3000, reason=True, items=True)
TEXT_ONLY = Workload.from_columns(
    np.array([0.0, 0.0012346, 12.5]),
    np.array([0, 1, 0], np.uint32),
    ["a", "b,c"],
    np.array([513, 16, 1], np.int32),
    np.array([10, 20, 30], np.int32),
)

HEADS = {
    "aiperf": '{"timestamp":0.0,"input_length":513,"output_length":10}\n'
    '{"timestamp":1.235,"input_length":16,"output_length":20}\n'
    '{"timestamp":12500.0,"input_length":1,"output_length":30}\n',
    "bailian": '{"chat_id":0,"parent_chat_id":-1,"timestamp":0.0,"input_length":513,"output_length":10,"type":"a",'
    '"turn":1,"hash_ids":['
    + ",".join(map(str, range(33)))
    + ']}\n{"chat_id":1,"parent_chat_id":-1,"timestamp":0.001235,"input_length":16,"output_length":20,"type":"b,c",'
    '"turn":1,"hash_ids":[33]}\n'
    '{"chat_id":2,"parent_chat_id":-1,"timestamp":12.5,"input_length":1,"output_length":30,"type":"a",'
    '"turn":1,"hash_ids":[34]}\n',
    "dynamo": '{"timestamp":0,"input_length":513,"output_length":10,"hash_ids":[0,1]}\n'
    '{"timestamp":1,"input_length":16,"output_length":20,"hash_ids":[2]}\n'
    '{"timestamp":12500,"input_length":1,"output_length":30,"hash_ids":[3]}\n',
    "guidellm": '{"timestamp":0.0,"input_length":513,"output_length":10,"hash_ids":[0,1]}\n'
    '{"timestamp":0.001235,"input_length":16,"output_length":20,"hash_ids":[2]}\n'
    '{"timestamp":12.5,"input_length":1,"output_length":30,"hash_ids":[3]}\n',
    "gateway": '{"timestamp":"2023-11-16T00:00:00.000000Z","user":"a",'
    '"usage":{"prompt_tokens":513,"completion_tokens":10}}\n'
    '{"timestamp":"2023-11-16T00:00:00.001235Z","user":"b,c","usage":{"prompt_tokens":16,"completion_tokens":20}}\n'
    '{"timestamp":"2023-11-16T00:00:12.500000Z","user":"a","usage":{"prompt_tokens":1,"completion_tokens":30}}\n',
    "otel": '{"trace_id":"1","span_id":"1","start_time":"2023-11-16T00:00:00.000000Z","attributes":'
    '{"gen_ai.operation.name":"chat","gen_ai.usage.input_tokens":513,"gen_ai.usage.output_tokens":10,"user.id":"a"}}\n'
    '{"trace_id":"2","span_id":"2","start_time":"2023-11-16T00:00:00.001235Z","attributes":'
    '{"gen_ai.operation.name":"chat","gen_ai.usage.input_tokens":16,"gen_ai.usage.output_tokens":20,"user.id":"b,c"}}\n'
    '{"trace_id":"3","span_id":"3","start_time":"2023-11-16T00:00:12.500000Z","attributes":'
    '{"gen_ai.operation.name":"chat","gen_ai.usage.input_tokens":1,"gen_ai.usage.output_tokens":30,"user.id":"a"}}\n',
    "azure": "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 00:00:00.0000000,513,10\r\n"
    "2023-11-16 00:00:00.0012350,16,20\r\n2023-11-16 00:00:12.5000000,1,30\r\n",
    "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n0.0,GPT-4,513,10,523,a\n"
    '0.001235,GPT-4,16,20,36,"b,c"\n12.5,GPT-4,1,30,31,a\n',
    "csv": 'arrival_s,client,input_tokens,output_tokens\n0.0,a,513,10\n0.0012346,"b,c",16,20\n12.5,a,1,30\n',
    "jsonl": '{"arrival_s":0.0,"client":"a","input_tokens":513,"output_tokens":10}\n'
    '{"arrival_s":0.0012346,"client":"b,c","input_tokens":16,"output_tokens":20}\n'
    '{"arrival_s":12.5,"client":"a","input_tokens":1,"output_tokens":30}\n',
    "mooncake": '{"timestamp":0,"input_length":513,"output_length":10,"hash_ids":[0,1]}\n'
    '{"timestamp":1,"input_length":16,"output_length":20,"hash_ids":[2]}\n'
    '{"timestamp":12500,"input_length":1,"output_length":30,"hash_ids":[3]}\n',
    "servegen": "request_id,timestamp,input_tokens,output_tokens\n0,0.0,513,10\n1,0.001235,16,20\n2,12.5,1,30\n",
    "vidur": "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,513,10\n0.001235,16,20\n12.5,1,30\n",
    "weka": "".join(
        f'{{"id":"request-{i}","models":["unknown"],"block_size":64,"hash_id_scope":"local","tool_tokens":0,'
        f'"system_tokens":0,"requests":[{{"t":{t},"type":"s","model":"unknown","in":{n},"out":{m},"hash_ids":{ids},'
        f'"api_time":{reply},"ttft":0.5,"think_time":null}}]}}\n'
        for i, (t, n, m, ids, reply) in enumerate(
            [(0.0, 513, 10, "[1,2,3,4,5,6,7,8]", 0.7), (0.001235, 16, 20, "[]", 0.9), (12.5, 1, 30, "[]", 1.1)]
        )
    ),
    "vllm": '{"timestamp":0.0,"input_length":513,"output_length":10,"hash_ids":['
    + ",".join(map(str, range(33)))
    + ']}\n{"timestamp":0.001235,"input_length":16,"output_length":20,"hash_ids":[33]}\n'
    '{"timestamp":12.5,"input_length":1,"output_length":30,"hash_ids":[34]}\n',
}


def written(workload: Workload, folder: Path, text: str) -> Path:
    path = folder / f"trace{FORMATS[text.split(':')[0]].ending}"
    assert formats.write([workload], path, text) == len(workload)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [json.loads(line) for line in lines] if path.suffix == ".jsonl" else list(csv.DictReader(lines))


@pytest.mark.parametrize("name", HEADS)
def test_a_format_is_byte_for_byte_this(name: str, tmp_path: Path) -> None:
    assert written(TEXT_ONLY, tmp_path, name).read_bytes().decode() == HEADS[name]


def test_every_text_format_has_its_bytes_above() -> None:
    assert set(HEADS) == set(WRITTEN) - {"parquet"}


@pytest.mark.parametrize("name", WRITTEN)
def test_bytes_do_not_depend_on_how_the_rows_are_cut(name: str, tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(written(WHOLE, tmp_path, name).read_bytes())
    for places in ([0], [3000], [1, 2, 700], range(0, 3000, 97)):
        formats.write(cut(WHOLE, list(places)), tmp_path / "cut", name)
        assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


def test_parquet_larger_than_a_row_group_does_not_depend_on_the_cut(tmp_path: Path) -> None:
    large = random_workload(600_000)
    formats.write([large], tmp_path / "whole.parquet")
    formats.write(cut(large, [5, 262_144, 262_145, 400_000]), tmp_path / "cut.parquet")
    assert (tmp_path / "cut.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_workload_without_requests_is_a_readable_file(name: str, blocks: int, tmp_path: Path) -> None:
    path = tmp_path / f"none{FORMATS[name].ending}"
    assert formats.write([cut(TEXT_ONLY, [0])[0]] * blocks, path, name) == 0
    if name == "parquet":
        assert len(Workload.read(path)) == 0
    elif path.suffix == ".csv":
        assert path.read_text().splitlines() == HEADS[name].splitlines()[:1]
    else:
        assert path.read_bytes() == b""


# Our own formats hold every column.


def test_parquet_jsonl_and_csv_come_back_through_polars(tmp_path: Path) -> None:
    expected = WHOLE.frame.with_columns(pl.col("client").cast(pl.String))
    assert Workload.read(written(WHOLE, tmp_path, "parquet")).frame.equals(WHOLE.frame)
    assert pl.read_ndjson(written(WHOLE, tmp_path, "jsonl"), schema=expected.schema).equals(expected)
    back = pl.read_csv(written(WHOLE, tmp_path, "csv"))
    alike = ["arrival_s", "client", "input_tokens", "output_tokens", "reason_tokens"]
    assert back.select(alike).cast(expected.select(alike).schema).equals(expected.select(alike))
    assert (back["image_count"] == WHOLE.frame["image_tokens"].list.len()).all()
    assert (back["image_total_tokens"] == WHOLE.frame["image_tokens"].list.sum()).all()


def test_parquet_keeps_where_it_comes_from(tmp_path: Path) -> None:
    noted = {"command": "groundswell generate", "seed": 3, "sources": [{"path": "pool", "digest": "ab"}]}
    formats.write([WHOLE], tmp_path / "w.parquet", metadata=noted)
    assert Workload.read(tmp_path / "w.parquet").metadata == {**noted, "version": __version__}


# What readers ask for, written from their own rules.

WHOLE_INPUT = WHOLE.input_tokens + WHOLE.frame["image_tokens"].list.sum().to_numpy()


@pytest.mark.parametrize(
    ("text", "block_tokens"), [("mooncake", 512), ("vllm", 16), ("vllm:block_tokens=512", 512), ("bailian", 16)]
)
def test_blocks_cover_the_prompt_and_are_never_shared(text: str, block_tokens: int, tmp_path: Path) -> None:
    rows = rows_of(written(WHOLE, tmp_path, text))
    for row in rows:  # GuideLLM refuses any other number; vLLM cuts the prompt to it
        assert -(-row["input_length"] // block_tokens) == len(row["hash_ids"])
    ids = [i for row in rows for i in row["hash_ids"]]
    assert sorted(ids) == list(range(len(ids)))


@pytest.mark.parametrize(
    ("name", "ms", "kind"),
    [("mooncake", 1.0, int), ("vllm", 1e-3, float), ("aiperf", 1.0, float), ("bailian", 1e-3, float)],
)
def test_traces_of_json_have_times_in_the_readers_unit(name: str, ms: float, kind: type, tmp_path: Path) -> None:
    rows = rows_of(written(WHOLE, tmp_path, name))
    times = [row["timestamp"] for row in rows]
    assert {type(t) for t in times} == {kind}
    assert times == sorted(times)
    assert np.abs(np.array(times) / ms / 1000 - WHOLE.arrival_s).max() <= (0.0005 if kind is int else 5.01e-7)
    assert [row["input_length"] for row in rows] == WHOLE_INPUT.tolist()
    assert [row["output_length"] for row in rows] == WHOLE.output_tokens.tolist()
    assert {type(row["input_length"]) for row in rows} == {int}


def test_vidur_reads_floats_and_whole_tokens(tmp_path: Path) -> None:
    rows = rows_of(written(WHOLE, tmp_path, "vidur"))
    assert list(rows[0]) == ["arrived_at", "num_prefill_tokens", "num_decode_tokens"]
    assert [int(row["num_prefill_tokens"]) for row in rows] == WHOLE_INPUT.tolist()
    times = [float(row["arrived_at"]) for row in rows]
    assert times == sorted(times)
    assert np.abs(np.array(times) - WHOLE.arrival_s).max() <= 5.01e-7


def test_azure_has_seven_decimals_and_starts_at_midnight(tmp_path: Path, public_data: Path) -> None:
    path = written(WHOLE, tmp_path, "azure")
    published = public_data / "azure" / "AzureLLMInferenceTrace_conv.csv"
    with published.open("rb") as theirs, path.open("rb") as ours:
        assert ours.readline() == theirs.readline()
        line, other = ours.readline(), theirs.readline()
        assert [len(piece) for piece in (line.split(b",")[0], line[-2:])] == [len(other.split(b",")[0]), 2]
        assert line[-2:] == other[-2:]
    begin = datetime.fromisoformat("2023-11-16T00:00:00")
    times = [
        (datetime.strptime(row["TIMESTAMP"][:26], "%Y-%m-%d %H:%M:%S.%f") - begin).total_seconds()
        for row in rows_of(path)
    ]
    assert times == sorted(times)
    assert np.abs(np.array(times) - WHOLE.arrival_s).max() <= 5.01e-7


def test_times_that_are_written_never_go_back_whatever_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    t = np.sort(np.concatenate([rng.random(5000) * 1e-3, 1e6 + rng.random(5000) * 1e-3, rng.random(5000) * 1e7]))
    w = Workload.from_columns(t, np.zeros(t.size, np.uint32), ["a"], *(np.ones(t.size, np.int32),) * 2)
    for name in ("mooncake", "vllm", "aiperf", "bailian"):
        times = [row["timestamp"] for row in rows_of(written(w, tmp_path, name))]
        assert times == sorted(times)
    azure = [row["TIMESTAMP"] for row in rows_of(written(w, tmp_path, "azure"))]
    assert azure == sorted(azure)


# Shared prefixes.


def prefixed(tokens: int) -> tuple[Workload, dict[str, Any]]:
    frame = TEXT_ONLY.frame.with_columns(
        pl.Series("input_tokens", [1500, 1100, 300], pl.Int32),
        pl.Series("prefix_blocks", [[7, 8], [7, 8, 9, 10], []], pl.List(pl.Int64)),
    )
    return Workload(frame), {"prefix_block_tokens": tokens}


def test_prefix_blocks_lead_and_stay_shared(tmp_path: Path) -> None:
    w, metadata = prefixed(512)
    formats.write([w, Workload(w.frame.with_columns(pl.col("arrival_s") + 20))], tmp_path / "p", "mooncake", metadata)
    ids = [json.loads(line)["hash_ids"] for line in (tmp_path / "p").read_text().splitlines()]
    assert [len(i) for i in ids] == [3, 3, 1] * 2
    assert ids[0][:2] == ids[1][:2] == ids[3][:2]
    assert ids[1] == ids[4]
    alone = [ids[0][2], ids[2][0], ids[3][2], ids[5][0]]
    assert len(set(alone)) == 4
    assert not set(alone) & set(ids[1])


def test_prefix_blocks_of_a_size_that_does_not_fit_are_refused(tmp_path: Path) -> None:
    w, metadata = prefixed(500)
    with pytest.raises(UsageError, match="block_tokens=500"):
        formats.write([w], tmp_path / "p", "vllm", metadata)
    assert not list(tmp_path.iterdir())


# Choices that cannot be meant.


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x.txt", None, "names no format"),
        ("x.parquet", "parque", "formats has no 'parque'"),
        ("x.jsonl", "wildchat", "groundswell makes none"),
        ("x.jsonl", "vllm:block_tokens=0", "at least 1"),
        ("x.jsonl", "vllm:block_tokens=1.5", "whole number"),
        ("x.jsonl", "vllm:block=16", "takes block_tokens"),
        ("none/x.csv", None, "there is no folder"),
        (".", "csv", "is a folder"),
    ],
)
def test_what_cannot_be_meant_is_told_before_any_block_is_made(
    name: str, text: str | None, told: str, tmp_path: Path
) -> None:
    def blocks() -> Iterator[Workload]:
        pytest.fail("a block was made")
        yield

    with pytest.raises(UsageError, match=told):
        formats.write(blocks(), tmp_path / name, text)
    assert not list(tmp_path.iterdir())


def test_blocks_out_of_order_or_of_other_columns_are_refused(tmp_path: Path) -> None:
    first, second = cut(WHOLE, [1500])
    with pytest.raises(DataError, match="time order"):
        formats.write([second, first], tmp_path / "x.csv")
    with pytest.raises(DataError, match="differ"):
        formats.write([first, Workload(second.frame.drop("image_tokens"))], tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())


def test_the_page_on_formats_has_the_table_and_every_command() -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert formats.describe() in page, "docs/formats.md: put the output of groundswell.formats.describe() there"
    for name in FORMATS:
        assert FORMATS[name].command in page
