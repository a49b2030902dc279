"""Traces that are tables: what each format's columns mean, and any table whose columns are named."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell import formats
from groundswell.errors import DataError, UsageError
from groundswell.formats import FORMATS
from groundswell.formats.layout.times import unix_s
from groundswell.formats.reading import read
from groundswell.formats.reading.source import examine
from groundswell.table import Workload
from traces import HEADER, TABLES, read_text, rows_of, saved
from workloads import random_workload


@pytest.mark.parametrize("name", TABLES)
def test_only_one_format_claims_a_table(name: str, tmp_path: Path) -> None:
    head = examine(saved(tmp_path, TABLES[name])).head
    readable = [FORMATS[other] for other in FORMATS if hasattr(FORMATS[other], "recognises")]
    assert [part for part in readable if part.recognises(head)] == [FORMATS[name]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TABLES)
def test_three_rows_are_three_requests_from_0_s_on(name: str, tmp_path: Path) -> None:
    trace = read(saved(tmp_path, TABLES[name]))
    assert trace.format == name
    assert trace.metadata["source"] == "trace.csv"
    rows = rows_of(trace)
    assert rows["arrival_s"][0] == 0
    assert len(rows) == trace.reading.rows == 3
    assert trace.reading.skipped == 0
    assert 1 < trace.expected_rows < 9


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("change", ["as it is", "packed", "with a mark", "CR LF", "no end", "blank lines"])
def test_a_table_reads_the_same_however_it_is_saved(name: str, change: str, tmp_path: Path) -> None:
    text = TABLES[name].removeprefix("\ufeff").replace("\r\n", "\n")
    changed = {
        "as it is": text.encode(),
        "packed": gzip.compress(text.encode()),
        "with a mark": b"\xef\xbb\xbf" + text.encode(),
        "CR LF": text.replace("\n", "\r\n").encode(),
        "no end": text[:-1].encode(),
        "blank lines": text.replace("\n", "\n\n").encode(),
    }[change]
    assert read_text(tmp_path, changed).equals(read_text(tmp_path, text))


def test_azure_keeps_dates_and_a_tenth_of_a_microsecond(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, TABLES["azure"]))
    assert rows_of(trace)["arrival_s"].to_list() == pytest.approx([0, 0.052, 0.0520001], abs=2.5e-7)
    began = datetime(2023, 11, 16, 18, 17, 3, 979960, UTC)
    assert trace.metadata["start_unix_s"] == pytest.approx(began.timestamp(), abs=1e-6)


def test_azure_of_2024_names_its_zone(tmp_path: Path) -> None:
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,1,2\n2024-05-10 00:00:01+00:00,1,2\n"
    )
    trace = read(saved(tmp_path, text))
    assert rows_of(trace)["arrival_s"].to_list() == pytest.approx([0, 0.99007], abs=2.5e-7)
    assert trace.metadata["start_unix_s"] == pytest.approx(datetime(2024, 5, 10, tzinfo=UTC).timestamp() + 0.00993)


@pytest.mark.parametrize(
    ("name", "rows", "span_s", "means"), [("conv", 19_366, 3502, (1155, 211)), ("code", 8_819, 3436, (2048, 28))]
)
def test_azures_public_traces_have_the_published_figures(
    name: str, rows: int, span_s: float, means: tuple[float, float], public_data: Path
) -> None:
    trace = read(public_data / "azure" / f"AzureLLMInferenceTrace_{name}.csv")
    frame = rows_of(trace)
    assert (trace.format, len(frame)) == ("azure", rows)
    assert frame["arrival_s"][-1] == pytest.approx(span_s, abs=1)
    assert frame.select(pl.col("input_tokens", "output_tokens").mean()).row(0) == pytest.approx(means, abs=0.6)
    assert trace.reading.notes == ()


def test_burstgpt_tells_failures_models_and_kinds_of_traffic(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, TABLES["burstgpt"]))
    rows = rows_of(trace)
    assert rows["failed"].to_list() == [False, False, True]
    assert rows["model"].to_list() == ["ChatGPT", "ChatGPT", "GPT-4"]
    assert rows["client"].to_list() == ["Conversation log", "Conversation log", "API log"]
    assert trace.metadata["client_is"] == "Log Type"
    assert "conversation" not in rows.columns


BURSTGPT_3 = """\
Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
10.0,1722ac82-0a46,43,GPT-4,906,446,1352,Conversation log
61.0,d5983bf9-4b48,2,ChatGPT,36,29,65,Conversation log
92.0,1722ac82-0a46,3,GPT-4,2000,0,2000,Conversation log
93.0,,,ChatGPT,5,6,11,API log
100.0,1722ac82-0a46,3,GPT-4,2100,7,2107,Conversation log
"""


def test_burstgpt_3_tells_sessions_and_how_long_a_person_thought(tmp_path: Path) -> None:
    rows = read_text(tmp_path, BURSTGPT_3)
    assert rows["turn"].to_list() == [1, 1, 2, None, 3]
    assert rows["think_s"].to_list() == [None, None, 39, None, 5]
    session = rows["conversation"].to_list()
    assert session[0] == session[2] == session[4] != session[1]
    assert session[3] is None
    assert rows["input_tokens"].to_list() == [906, 36, 2000, 5, 2100]


def test_sessions_go_on_from_one_piece_of_the_file_to_the_next(tmp_path: Path, small_pieces: None) -> None:
    assert rows_of(read(saved(tmp_path, BURSTGPT_3)))["think_s"].to_list() == [None, None, 39, None, 5]


def test_servegens_other_fields_are_reasoning_and_items(tmp_path: Path) -> None:
    reasons = read_text(tmp_path, "request_id,timestamp,input_tokens,output_tokens,reason_ratio\n0,0,9,200,0.75\n")
    assert reasons["reason_tokens"].to_list() == [150]
    items = read_text(
        tmp_path,
        'request_id,timestamp,text_tokens,image_tokens,output_tokens\n0,0,9,"[576, 64]",7\n1,2,9,[],7\n',
    )
    assert items["image_tokens"].to_list() == [[576, 64], []]
    assert items["input_tokens"].to_list() == [9, 9]


def test_our_parquet_keeps_clients_that_sent_nothing_and_where_it_comes_from(tmp_path: Path) -> None:
    w = random_workload(500)
    formats.write([w], tmp_path / "w.parquet", metadata={"seed": 3, "start_unix_s": 1.7e9})
    trace = read(tmp_path / "w.parquet")
    (block,) = list(trace)
    assert block.clients == w.clients
    assert (block.client_code == w.client_code).all()
    assert trace.metadata["seed"] == 3
    assert trace.metadata["start_unix_s"] == 1.7e9 + w.arrival_s[0]
    assert trace.expected_rows == 500


def test_items_of_our_csv_come_back_as_many_and_as_large_together(tmp_path: Path) -> None:
    w = random_workload(300, reason=True, items=True)
    formats.write([w], tmp_path / "w.csv")
    rows = rows_of(read(tmp_path / "w.csv"))
    for what in (pl.col("image_tokens").list.len(), pl.col("image_tokens").list.sum(), pl.col("reason_tokens")):
        assert rows.select(what).equals(w.frame.select(what))


# Any table whose columns are named.

LOG = "when,who,prompt,completion\n{0},ann,10,20\n{1},bob,11,21\n"
NAMES = {"arrival": "when", "client": "who", "input_tokens": "prompt", "output_tokens": "completion"}


@pytest.mark.parametrize(
    ("times", "unit", "dated"),
    [
        ((3, 4.5), None, False),
        ((3000, 4500), "ms", False),
        ((3_000_000, 4_500_000), "us", False),
        ((1_700_000_000, 1_700_000_001.5), None, True),
        ((1_700_000_000_000, 1_700_000_001_500), None, True),
        ((1_700_000_000_000_000, 1_700_000_001_500_000), None, True),
        ((1_700_000_000_000_000_000, 1_700_000_001_500_000_000), None, True),
        ((1_700_000_000_000, 1_700_000_001_500), "ms", True),
        (("2023-11-14 22:13:20", "2023-11-14 22:13:21.5"), None, True),
        (("2023-11-14T22:13:20Z", "2023-11-14T22:13:21.500Z"), None, True),
        (("2023-11-15 06:13:20+08:00", "2023-11-15 06:13:21.5+0800"), None, True),
        (("2023/11/14 22:13:20.000", "2023/11/14 22:13:21.500"), None, True),
    ],
)
def test_arrivals_are_numbers_in_a_unit_or_dates(
    times: tuple[object, object], unit: str | None, dated: bool, tmp_path: Path
) -> None:
    for text in (LOG.format(*times), "\n".join(json.dumps(row) for row in _objects(times))):
        trace = read(saved(tmp_path, text), columns=NAMES, time_unit=unit)
        assert rows_of(trace)["arrival_s"].to_list() == pytest.approx([0, 1.5], abs=3e-7)
        assert rows_of(trace)["client"].to_list() == ["ann", "bob"]
        if dated:
            assert trace.metadata["start_unix_s"] == pytest.approx(1.7e9, abs=1e-6)
        else:
            assert "start_unix_s" not in trace.metadata
        guessed = dated and unit is None and not isinstance(times[0], str)
        assert any("by its size" in note for note in trace.reading.notes) == guessed


def _objects(times: tuple[object, object]) -> list[dict[str, object]]:
    return [
        {"when": times[0], "who": "ann", "prompt": 10, "completion": 20},
        {"when": times[1], "who": "bob", "prompt": 11, "completion": 21},
    ]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_parquet_of_other_tools_has_dates_and_names_of_any_kind(unit: str, zone: str | None, tmp_path: Path) -> None:
    began = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
    when = pl.Series([began, began + timedelta(seconds=2)], dtype=pl.Datetime("us", "UTC"))
    when = when.dt.replace_time_zone(None) if zone is None else when.dt.convert_time_zone(zone)
    frame = pl.DataFrame(
        {
            "when": when.dt.cast_time_unit(unit),  # type: ignore[arg-type]
            "who": pl.Series(["ann", None], dtype=pl.Categorical),
            "prompt": pl.Series([1.0, 2.0]),
            "completion": pl.Series([3, 4], dtype=pl.UInt64),
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    trace = read(tmp_path / "log.parquet", columns=NAMES)
    rows = rows_of(trace)
    assert rows["arrival_s"].to_list() == [0, 2]
    assert trace.metadata["start_unix_s"] == began.timestamp()
    assert rows["client"].to_list() == ["ann", "(none)"]
    assert any("name no client" in note for note in trace.reading.notes)
    assert rows["input_tokens"].to_list() == [1, 2]


def test_values_inside_objects_have_names_with_dots(tmp_path: Path) -> None:
    rows = [{"t": i, "usage": {"in": 5 + i, "out": {"all": 7}}, "user": {"id": "u"}} for i in range(3)]
    columns = {"arrival": "t", "input_tokens": "usage.in", "output_tokens": "usage.out.all", "client": "user.id"}
    frame = read_text(tmp_path, "\n".join(map(json.dumps, rows)), columns=columns)
    assert frame["input_tokens"].to_list() == [5, 6, 7]
    assert frame["output_tokens"].to_list() == [7, 7, 7]
    assert frame["client"].to_list() == ["u"] * 3


def test_numbers_in_quotes_are_times_in_json_as_in_csv(tmp_path: Path) -> None:
    rows = [{"ts": str(1_700_000_000_000_000_000 + i * 10**9), "in": 1, "out": 2} for i in range(3)]
    path = saved(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "x.jsonl")
    trace = read(path, columns={"arrival": "ts", "input_tokens": "in", "output_tokens": "out"})
    assert rows_of(trace)["arrival_s"].to_list() == [0, 1, 2]
    assert trace.metadata["start_unix_s"] == 1.7e9


def test_columns_with_our_names_need_no_naming_and_others_are_passed_over(tmp_path: Path) -> None:
    text = "user,arrival_s,input_tokens,output_tokens,prompt,model,failed,turn,conversation\n"
    text += 'ann,0,1,2,"not, kept",m1,True,1,c-1\nbob,1,1,2,x,m2,0,2,c-1\n'
    frame = read_text(tmp_path, text, columns={"client": "user"})
    assert frame["client"].to_list() == ["ann", "bob"]
    assert frame["failed"].to_list() == [True, False]
    assert frame["conversation"].n_unique() == 1
    assert "prompt" not in frame.columns


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_seen(separator: str, tmp_path: Path) -> None:
    text = (HEADER + "0,a,1,2\n").replace(",", separator)
    assert len(read_text(tmp_path, text)) == 1


def test_a_json_document_is_a_list_of_rows(tmp_path: Path) -> None:
    rows = [{"arrival_s": i, "input_tokens": 1, "output_tokens": 2, "client": "a\nb"} for i in range(3)]
    assert len(read_text(tmp_path, json.dumps(rows, indent=2))) == 3


# Whose requests they are.


@pytest.mark.parametrize(
    ("by", "clients"),
    [
        ("Model", ["ChatGPT", "ChatGPT", "GPT-4"]),
        ("model", ["ChatGPT", "ChatGPT", "GPT-4"]),
        ("Model+Log Type", ["ChatGPT + Conversation log", "ChatGPT + Conversation log", "GPT-4 + API log"]),
        ("Request tokens", ["472", "1087", "417"]),
    ],
)
def test_another_column_can_be_the_client(by: str, clients: list[str], tmp_path: Path) -> None:
    trace = read(saved(tmp_path, TABLES["burstgpt"]), client_by=by)
    assert rows_of(trace)["client"].to_list() == clients
    assert trace.metadata["client_is"] == by


def test_a_parquet_can_have_another_client(tmp_path: Path) -> None:
    w = random_workload(10)
    Workload(w.frame.with_columns(model=pl.lit("m"))).write(tmp_path / "w.parquet")
    assert set(rows_of(read(tmp_path / "w.parquet", client_by="model"))["client"]) == {"m"}
    both = rows_of(read(tmp_path / "w.parquet", client_by="client+model"))["client"]
    assert both.to_list() == [f"{name} + m" for name in w.frame["client"].cast(pl.String)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("by", ["client_by", "client_by_two", "client", "model"])
def test_keys_are_shown_as_hashes_wherever_they_are_asked_for(kind: str, by: str, tmp_path: Path) -> None:
    keys = pl.DataFrame({"t": [0, 1, 2], "n": [5, 6, 7], "m": [1, 1, 1], "team": ["a"] * 3})
    keys = keys.with_columns(pl.Series("X-Api-Key", ["sk-one", "sk-two", None]))
    path = tmp_path / "log"
    getattr(keys, {"csv": "write_csv", "jsonl": "write_ndjson", "parquet": "write_parquet"}[kind])(path)
    columns = {"arrival": "t", "input_tokens": "n", "output_tokens": "m"}
    if by.startswith("client_by"):
        trace = read(path, columns=columns, client_by={"client_by": "X-Api-Key"}.get(by, "X-Api-Key+team"))
    else:
        trace = read(path, columns={**columns, by: "X-Api-Key"})
    rows = rows_of(trace)
    assert "sk-" not in rows.write_csv()
    assert rows[by if by == "model" else "client"][0].startswith(f"key-{hashlib.sha256(b'sk-one').hexdigest()[:12]}")
    assert "Column 'X-Api-Key' holds keys, of which hashes are shown." in trace.reading.notes


def test_a_key_inside_an_object_is_shown_as_a_hash_and_a_gateways_other_clients_are_not(tmp_path: Path) -> None:
    row = {"startTime": 1.7e9, "api_key": "sk-a", "auth": {"token": "sk-b"}, "model": "m"}
    path = saved(tmp_path, json.dumps({**row, "usage": {"prompt_tokens": 1, "completion_tokens": 1}}) + "\n", "x.jsonl")
    for by, start in ((None, "key-"), ("auth.token", "key-"), ("model", "m")):
        trace = read(path, client_by=by)
        assert rows_of(trace)["client"][0].startswith(start)
        assert any("hashes are shown" in note for note in trace.reading.notes) == (start == "key-")


def test_a_parquet_with_clients_of_ours_can_be_mapped_to_others(tmp_path: Path) -> None:
    w = random_workload(10)
    Workload(w.frame.with_columns(model=pl.lit("m"))).write(tmp_path / "w.parquet")
    assert set(rows_of(read(tmp_path / "w.parquet", columns={"client": "model"}))["client"]) == {"m"}


def test_where_there_are_no_clients_there_is_one(tmp_path: Path) -> None:
    assert read_text(tmp_path, TABLES["vidur"])["client"].to_list() == ["all"] * 3


def test_clients_that_turn_up_later_leave_the_numbers_of_the_others(tmp_path: Path, small_pieces: None) -> None:
    text = HEADER + "".join(f"{i},c{i // 7},1,1\n" for i in range(400))
    known: tuple[str, ...] = ()
    for block in read(saved(tmp_path, text), block_rows=13):
        assert block.clients[: len(known)] == known
        known = block.clients
        assert [known[code] for code in block.client_code] == [f"c{int(t) // 7}" for t in block.arrival_s]
    assert len(known) == 58


# Dates against the standard library.


def test_dates_are_those_of_the_standard_library() -> None:
    rng = np.random.default_rng(7)
    second = rng.integers(-62_000_000_000, 200_000_000_000, 2000)
    moments = [datetime(1970, 1, 1) + timedelta(seconds=int(s), microseconds=int(s) % 1_000_000) for s in second]
    expected = [(m - datetime(1970, 1, 1)).total_seconds() for m in moments]
    for text in (
        [m.isoformat() for m in moments],
        [m.isoformat(" ", "microseconds") + "Z" for m in moments],
        [m.isoformat("T", "microseconds") + "0 UTC" for m in moments],
        [(m + timedelta(hours=5, minutes=30)).isoformat(" ", "microseconds") + "+05:30" for m in moments],
    ):
        parsed = pl.DataFrame({"t": text}).select(unix_s(pl.col("t"))).to_series()
        assert parsed.to_numpy() == pytest.approx(np.array(expected), abs=1e-4)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2023-01/01", "2023-02-29 00:00:00", "2023-13-01", "2023-1-1", "2023-01-01 24:00:00",
     "2023-01-01 12:61",
     "12345678901", "2023-01-01 00:00:00.", "2023-01-01 00:00:00 CET", "2023-01-01T00:00:00+99:00", "２０２３-01-01"],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert pl.DataFrame({"t": [text, None]}).select(unix_s(pl.col("t"))).to_series().to_list() == [None, None]


# What cannot be meant.


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"columns": {"arival": "when"}}, "'arival' is no column of a workload"),
        ({"columns": {**NAMES, "client": "user"}}, "has no column 'user' for client; it has when, who"),
        ({"columns": {"arrival": "when"}}, "which column is input_tokens?"),
        ({"columns": {"arrival": "when", "arrival_s": "when"}}, "name it once"),
        ({"columns": NAMES, "time_unit": "h"}, "must be one of s, ms, us, ns"),
        ({"columns": NAMES, "client_by": "team"}, "no column 'team' to tell clients by"),
        ({"columns": NAMES, "format": "azure"}, "either name its columns or say azure"),
        ({"format": "azure"}, "has no column 'TIMESTAMP'"),
        ({"format": "jsonl"}, "is csv, not jsonl"),
        ({"format": "nix"}, "formats has no 'nix'"),
        ({"format": "azure:x=1"}, "takes no parameters"),
        ({"bad_rows": "ignore"}, "must be stop or skip"),
        ({"block_rows": 0}, "must be at least 1"),
    ],
)
def test_what_cannot_be_asked_of_a_table_is_told(how: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        read(saved(tmp_path, LOG.format(1, 2)), **how)  # type: ignore[arg-type]
    assert said in str(told.value)


def test_one_column_cannot_be_two_numbers_but_names_of_several_things(tmp_path: Path) -> None:
    path = saved(tmp_path, "t,who,n,m\n0,a,1,2\n1,b,3,4\n")
    lengths = {"arrival": "t", "input_tokens": "n", "output_tokens": "m"}
    with pytest.raises(UsageError, match="column 'n' cannot be both input_tokens and output_tokens"):
        read(path, columns={**lengths, "output_tokens": "n"})
    rows = rows_of(read(path, columns={**lengths, "client": "who", "model": "who"}))
    assert rows["client"].to_list() == rows["model"].to_list() == ["a", "b"]


def test_of_columns_with_one_name_the_first_is_read_and_that_is_said(tmp_path: Path) -> None:
    trace = read(saved(tmp_path, HEADER[:-1] + ",input_tokens,x,x\n0,a,1,2,9,9,9\n1,a,3,4,9,9,9\n"))
    assert rows_of(trace)["input_tokens"].to_list() == [1, 3]
    assert trace.reading.notes == ("There are several columns 'input_tokens'; the first of them is read.",)


def test_a_table_nobody_knows_names_its_columns_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"columns are when, who, prompt, completion.*azure.*--map arrival="):
        read(saved(tmp_path, LOG.format(1, 2)))
