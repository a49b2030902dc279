"""Files that are no trace, and rows that cannot be meant: one line that says what and where, and nothing else."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundswell import formats
from groundswell.errors import DataError, GroundswellError, UsageError
from groundswell.formats import FORMATS
from groundswell.formats.reading import Trace, in_order, lines, read
from traces import HEADER, TABLES, rows_of, saved
from workloads import WRITTEN, random_workload

NO_TRACE = {
    "an empty file": (b"", "is empty"),
    "blank lines": (b"\n\r\n \n", "holds blank lines alone"),
    "a header only": (HEADER.encode(), "holds no rows"),
    "a header without a line end": (HEADER[:-1].encode(), "holds no rows"),
    "a binary file": (bytes(range(256)) * 8, "neither text nor Parquet"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither text nor Parquet"),
    "control characters": (bytes(range(1, 9)) * 30, "neither text nor Parquet"),
    "UTF-16": ("arrival_s,client".encode("utf-16"), "UTF-16; save it as UTF-8"),
    "a header in Latin-1": ("arrival_s,clié\n1,2\n".encode("latin-1"), "not UTF-8"),
    "a zip": (b"PK\x03\x04....", "packed with zip; unpack it first"),
    "a zstd": (b"\x28\xb5\x2f\xfd....", "packed with zstd"),
    "half a gzip": (gzip.compress(os.urandom(3000))[:1000], "packed with gzip, but not whole"),
    "no gzip": (b"\x1f\x8b" + b"x" * 100, "packed with gzip, but not whole"),
    "half a Parquet": (b"PAR1" + b"x" * 100, "not a readable Parquet file"),
    "one number": (b"3\n", "its columns are 3"),
    "prose": (b"Dear reader,\nthis is no trace.\n", "its columns are Dear reader"),
    "half a JSON object": (b'{"arrival_s": 1, "inp', "neither JSON lines nor one JSON document"),
    "JSON too deep": (b"[" * 100_000, "neither JSON lines nor one JSON document"),
    "objects too deep": (b'{"a":' * 100_000, "neither JSON lines nor one JSON document"),
    "an empty list": (b"[]", "is JSON, but holds no objects with values"),
    "a list of numbers": (b"[1, 2]", "is JSON, but holds no objects with values"),
    "an empty object": (b"{}", "is JSON, but holds no objects with values"),
    "lines that end in CR": (HEADER.replace("\n", "\r").encode() + b"1,a,2,3\r2,b,3,4\r", "end in CR alone"),
    "a column missing": (b"arrival_s,client,input_tokens\n1,a,2\n", "columns are arrival_s, client, input_tokens"),
}


def test_requests_inside_a_document_are_pointed_at(tmp_path: Path) -> None:
    path = saved(tmp_path, '{"id": "x", "block_size": 64, "requests": [{"t": 0, "in": 5, "out": 1}]}', "x.json")
    with pytest.raises(DataError, match=r"if 'requests' are its rows, write them one a line: jq -c '.requests\[\]'"):
        read(path)


@pytest.mark.parametrize("what", NO_TRACE)
@pytest.mark.parametrize("bad_rows", ["stop", "skip"])
def test_what_is_no_trace_is_told_in_one_line(what: str, bad_rows: str, tmp_path: Path) -> None:
    content, said = NO_TRACE[what]
    path = saved(tmp_path, content)
    with pytest.raises(DataError) as told:
        rows_of(read(path, bad_rows=bad_rows))  # type: ignore[arg-type]
    assert said in str(told.value)
    assert str(told.value).startswith(str(path))
    assert str(told.value).isprintable()


def test_places_without_a_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "none")
    with pytest.raises(UsageError, match="is a folder"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="save it to a file first"):
        read(tmp_path / "pipe")
    with pytest.raises(UsageError, match="save it to a file first"):
        read("/dev/stdin")


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path, HEADER)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read(path)


WRONG: dict[str, tuple[str | bytes, str]] = {
    "no number": ("1,b,abc,4", "column 'input_tokens' is 'abc', not a whole number"),
    "a fraction": ("1,b,1.5,4", "column 'input_tokens' is '1.5', not a whole number"),
    "a truth": ("1,b,2,true", "column 'output_tokens' is 'true', not a whole number"),
    "nothing": ("1,b,,4", "column 'input_tokens' is empty"),
    "too little": ("1,b", "column 'input_tokens' is empty"),
    "negative": ("1,b,-5,4", "column 'input_tokens' is -5, not a whole number from 0 to 2147483647"),
    "too large": ("1,b,99999999999,4", "column 'input_tokens' is '99999999999', not a whole number of 32 bits"),
    "no time": ("soon,b,3,4", "column 'arrival_s' is 'soon', not a number"),
    "not finite": ("inf,b,3,4", "column 'arrival_s' is inf, not a time"),
    "none": ("nan,b,3,4", "column 'arrival_s' is nan, not a time"),
    "escapes": ("1,b,\x1b[31m5,4", r"column 'input_tokens' is '\x1b[31m5', not a whole number"),
    "other text": (b"1,Jos\xe9,3,4", "byte 6 of it is not UTF-8 text"),
    "NUL": ("1,b,3\x00,4", r"column 'input_tokens' is '3\x00'"),
    "stray quotes": ('1,"b,3,4', "its quotes are not closed"),
}
GOOD = "0,a,1,2\n" * 40_000  # more than a first look sees


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("pieces", ["one piece", "small pieces"])
def test_a_wrong_row_is_told_with_its_line_or_left_out_and_counted(
    what: str, pieces: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pieces == "small pieces":
        monkeypatch.setattr(lines, "PIECE_BYTES", 40_000)
    row, said = WRONG[what]
    line = row.encode() if isinstance(row, str) else row
    # A quoted line end, a blank line and a line end of DOS come before it; lines are counted as an editor does.
    content = HEADER.encode() + GOOD.encode() * 4 + b'0,"a\nb",1,2\n\n0,c,3,4\r\n' + line + b"\n2,d,5,6\n"
    path = saved(tmp_path, content)
    with pytest.raises(DataError) as told:
        rows_of(read(path))
    assert str(told.value).startswith(f"{path}, line 160006: {said}")
    assert str(told.value).isprintable()
    trace = read(path, bad_rows="skip")
    rows = rows_of(trace)
    assert len(rows) == trace.reading.rows == 160_003
    assert trace.reading.skipped == 1
    ((number, reason),) = trace.reading.first_skipped
    assert (number, reason[: len(said)]) == (160_006, said)


def test_the_first_ten_of_many_wrong_rows_are_kept(tmp_path: Path) -> None:
    text = HEADER + "".join(f"{i},a,{'x' if i % 3 else i},2\n" for i in range(30_000))
    trace = read(saved(tmp_path, text), bad_rows="skip")
    assert len(rows_of(trace)) == 10_000
    assert trace.reading.skipped == 20_000
    assert [number for number, _ in trace.reading.first_skipped] == [3, 4, 6, 7, 9, 10, 12, 13, 15, 16]


def test_if_every_row_is_wrong_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of its 2 rows can be read; line 2: column 'input_tokens' is 'x'"):
        rows_of(read(saved(tmp_path, HEADER + "0,a,x,2\n1,a,x,2\n"), bad_rows="skip"))


def test_whole_numbers_may_be_written_as_floats(tmp_path: Path) -> None:
    for text in (
        HEADER + "0,a,1,2\n" * 5 + "1,b,7.0,8e0\n2,c,9,10\n",
        '{"arrival_s":0,"input_tokens":1,"output_tokens":2}\n' * 5
        + '{"arrival_s":1,"input_tokens":7.0,"output_tokens":8e0}\n'
        + '{"arrival_s":2,"input_tokens":9,"output_tokens":10}\n',
    ):
        assert rows_of(read(saved(tmp_path, text)))["input_tokens"].to_list() == [1] * 5 + [7, 9]


JSON_WRONG = {
    "text": (
        '{"arrival_s":1,"input_tokens":"x","output_tokens":2}',
        "column 'input_tokens' is \"x\", not a whole number",
    ),
    "fraction": ('{"arrival_s":1,"input_tokens":1.5,"output_tokens":2}', "column 'input_tokens' is 1.5, not a whole"),
    "truth": ('{"arrival_s":1,"input_tokens":true,"output_tokens":2}', "column 'input_tokens' is true, not a whole"),
    "large": ('{"arrival_s":1,"input_tokens":1e20,"output_tokens":2}', "column 'input_tokens' is 1e20, not a whole"),
    "missing": ('{"arrival_s":1,"output_tokens":2}', "column 'input_tokens' is empty"),
    "null": ("null", "is null, not a JSON object"),
    "list": ("[1, 2]", "is [1,2], not a JSON object"),
    "half": ('{"arrival_s":1,"inp', "is not JSON: "),
    "two": ('{"arrival_s":1}{"arrival_s":2}', "is not JSON: "),
    "nested": ('{"arrival_s":1,"input_tokens":1,"output_tokens":2,"image_tokens":[{"a":1}]}', "is of other types"),
    "no list": (
        '{"arrival_s":1,"input_tokens":1,"output_tokens":2,"image_tokens":3}',
        "column 'image_tokens' is 3, not a list",
    ),
    "negative item": (
        '{"arrival_s":1,"input_tokens":1,"output_tokens":2,"image_tokens":[3,-1]}',
        "column 'image_tokens' is",
    ),
}


@pytest.mark.parametrize("what", JSON_WRONG)
def test_a_wrong_object_is_told_with_its_line(what: str, tmp_path: Path) -> None:
    row, said = JSON_WRONG[what]
    good = '{"arrival_s":0,"input_tokens":1,"output_tokens":2,"image_tokens":[5]}\n'
    path = saved(tmp_path, good * 3000 + "\n" + row + "\n" + good)
    with pytest.raises(DataError) as told:
        rows_of(read(path))
    assert str(told.value).startswith(f"{path}, line 3002: {said}")
    trace = read(path, bad_rows="skip")
    assert len(rows_of(trace)) == 3001
    assert [number for number, _ in trace.reading.first_skipped] == [3002]


def test_rows_of_parquet_and_items_of_a_document_are_counted_too(tmp_path: Path) -> None:
    frame = pl.DataFrame({"arrival_s": [0.0, 1.0], "input_tokens": [1, None], "output_tokens": [1, 1]})
    frame.write_parquet(tmp_path / "w.parquet")
    with pytest.raises(DataError, match=r"w.parquet, row 2: column 'input_tokens' is empty"):
        rows_of(read(tmp_path / "w.parquet"))
    frame.with_columns(input_tokens=pl.Series(["1", "x"])).write_parquet(tmp_path / "w.parquet")
    with pytest.raises(DataError, match=r"row 2: column 'input_tokens' is 'x', not a whole number"):
        rows_of(read(tmp_path / "w.parquet"))
    frame.with_columns(input_tokens=pl.Series([[1], [2]])).write_parquet(tmp_path / "w.parquet")
    with pytest.raises(DataError, match=r"column 'input_tokens' is List\(Int64\), not a whole number"):
        rows_of(read(tmp_path / "w.parquet"))
    document = '[{"arrival_s":1,"input_tokens":1,"output_tokens":2},\n\n{"arrival_s":1}]'
    with pytest.raises(DataError, match="item 2: column 'input_tokens' is empty"):
        rows_of(read(saved(tmp_path, document)))


# Whatever the bytes.


def outcome(path: Path, form: str | None, bad_rows: str) -> None:
    """Read ``path``: rows as they should be, or an error of ours in one printable line."""

    def look(trace: Trace) -> None:
        latest_s, rows = 0.0, 0
        for block in trace:
            block.checked()
            assert not len(block) or block.arrival_s[0] >= latest_s
            latest_s = float(block.arrival_s[-1])
            rows += len(block)
        assert rows == trace.reading.rows

    said = ""
    try:
        in_order(read(path, form, bad_rows=bad_rows, block_rows=7), look)  # type: ignore[arg-type]
    except GroundswellError as fault:
        said = str(fault)
    assert "\n" not in said


@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"{", b"[", HEADER.encode(), b"PAR1", b"\x1f\x8b"]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_reading_fail_otherwise(content: bytes, start: bytes, tmp_path: Path) -> None:
    outcome(saved(tmp_path, start + content), None, "skip")


PIECES = [b'"', b"\n", b",", b"\r\n", b"\0", b"\xff", b"-", b"1e999", b"nan", b"9" * 20, b"{", b"}", b"[", b"]",
          b"null", b"true", b"\\", b"\\ud800", b";", b"\xef\xbb\xbf", b"2024-01-01 00:00:00", b" ", b"."]  # fmt: skip


def mutated(content: bytes, chance: random.Random) -> bytes:
    """``content`` with a few bytes put in, taken out, changed, doubled or cut off."""
    text = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(text) + 1)
        behind = min(len(text), at + chance.randint(1, 40))
        kind = chance.randrange(5)
        if kind == 0:
            text[at:at] = chance.choice(PIECES)
        elif kind == 1:
            del text[at:behind]
        elif kind == 2:
            text[at:behind] = chance.choice(PIECES)
        elif kind == 3:
            text[at:at] = text[at:behind]
        else:
            text = text[: max(at, 20)]
    return bytes(text)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small file of every format that is written."""
    folder = tmp_path_factory.mktemp("seeds")
    for name in WRITTEN:
        formats.write([random_workload(20, items=True)], folder / name, name)
    return {name: (folder / name).read_bytes() for name in WRITTEN} | {
        f"{name} ": text.encode() for name, text in TABLES.items()
    }


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_change_to_a_file_makes_reading_fail_otherwise(seed: int, written: dict[str, bytes], tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311 (it makes examples)
    name = chance.choice(sorted(written))
    path = saved(tmp_path, mutated(written[name], chance))
    forced = chance.choice([None, name.strip()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "PIECE_BYTES", chance.choice([150, 2**23]))
        outcome(path, forced, chance.choice(["stop", "skip"]))


def test_every_format_that_is_read_was_tried(written: dict[str, bytes]) -> None:
    readable = {name for name in FORMATS if hasattr(FORMATS[name], "layout")}
    assert readable - {name.strip() for name in written} <= {"wildchat"}
