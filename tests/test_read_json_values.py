"""What readers of JSON promise whatever a file holds: cut anywhere, with values of any type, ids of any kind."""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell import formats
from groundswell.errors import GroundswellError
from groundswell.formats import FORMATS
from groundswell.formats._ids import id_numbers, key_names
from groundswell.formats._json_values import dated, instants
from groundswell.formats.bailian import Roots
from groundswell.formats.layout import Head, Layout
from groundswell.formats.reading import read
from groundswell.formats.reading.source import examine
from groundswell.table import Workload
from json_traces import AIPERF, BAILIAN, GATEWAY, MADE, MOONCAKE, OTLP, SPANS, VLLM, WILDCHAT, Rows, saved, table
from workloads import cut

LINES: dict[str, tuple[str, Rows]] = {
    "mooncake": ("mooncake", MOONCAKE),
    "vllm": ("vllm", VLLM),
    "aiperf": ("aiperf", AIPERF),
    "bailian": ("bailian", BAILIAN),
    "wildchat": ("wildchat", WILDCHAT),
    "spans": ("otel", SPANS),
    "sessions": ("otel", [{"spans": SPANS}, {"spans": []}]),
    "otlp": ("otel", [OTLP]),
    "gateway": ("gateway", GATEWAY),
}


def layout_of(name: str, folder: Path) -> tuple[Layout, pl.DataFrame]:
    form, rows = LINES[name]
    path = saved(folder, rows)
    part: Any = FORMATS.build(form)
    layout: Layout = part.layout(examine(path).head)
    frame = pl.read_ndjson(path, schema=dict(layout.raw))
    return layout, frame.with_row_index("line", 1)


@pytest.mark.parametrize("name", LINES)
def test_rows_do_not_depend_on_how_a_file_is_cut(name: str, tmp_path: Path) -> None:
    layout, frame = layout_of(name, tmp_path)
    whole = layout.rows(frame)
    for cuts in ([], [0, 0], range(1, frame.height), [frame.height // 2]):
        fresh, _ = layout_of(name, tmp_path)
        parts = [fresh.rows(frame[low:high]) for low, high in pairwise([0, *cuts, frame.height])]
        assert pl.concat(parts).sort("line", maintain_order=True).equals(whole.sort("line", maintain_order=True))


@pytest.mark.parametrize("name", LINES)
def test_a_part_of_a_file_without_rows_has_the_columns_of_the_others(name: str, tmp_path: Path) -> None:
    layout, frame = layout_of(name, tmp_path)
    assert layout.rows(frame[:0]).schema == layout.rows(frame).schema


# Values of any type. The types of columns are the reader's concern; what a column of the right type holds is ours.

NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -1, 1.5, 2**31, 2**63, 1e300]),
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "1e400", "nan", "-5", "2024-13-45T00:00:00Z", '{"$date": 1}', "\ud800", "NULL", "ERROR"]),
)
ANY = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where all the values in ``value`` are."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in inner for place in places(item, (*here, key)))]


def mutated(data: st.DataObject, rows: Rows) -> Rows:
    """``rows`` with up to three of the values in them left out or made something else."""
    rows = json.loads(json.dumps(rows))
    for _ in range(data.draw(st.integers(1, 3))):
        if not any(rows):
            break
        *way, last = data.draw(st.sampled_from([place for place in places(rows) if len(place) > 1]))
        holder: Any = rows
        for key in way:
            holder = holder[key]
        if data.draw(st.integers(0, 3)):
            holder[last] = data.draw(st.one_of(NUMBERS, TEXTS, ANY))
        else:
            del holder[last]
    return rows


@pytest.mark.parametrize("name", LINES)
@settings(max_examples=30)
@given(data=st.data())
def test_a_file_of_any_values_is_read_or_refused_in_a_line(name: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        form, rows = LINES[name]
        path = saved(Path(folder), [*rows, *mutated(data, rows)] if data.draw(st.booleans()) else mutated(data, rows))
        check_reading(path, form)
        check_reading(path, None)


def check_told(fault: GroundswellError) -> None:
    assert "\n" not in str(fault)


def check_reading(path: Path, form: str | None) -> None:
    try:
        frame = table(read(path, form, bad_rows="skip"))
    except GroundswellError as fault:
        check_told(fault)
        return
    assert frame["arrival_s"].is_finite().all()
    assert (frame.select("input_tokens", "output_tokens") >= 0).to_numpy().all()


@pytest.mark.parametrize("made", MADE)
@settings(max_examples=30)
@given(data=st.data())
def test_a_beginning_of_any_values_is_recognised_or_not(made: str, data: st.DataObject) -> None:
    form, text = MADE[made]
    rows = [json.loads(text)] if made == "a document of spans" else None
    rows = rows or (json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()])
    odd = tuple(mutated(data, rows))
    head = Head(Path("x.jsonl"), "jsonl", tuple(dict.fromkeys(key for row in odd for key in row)), odd)
    for name in FORMATS:
        part: Any = FORMATS[name]
        if hasattr(part, "recognises"):
            assert part.recognises(head) in (True, False)
    try:
        layout = FORMATS.build(form).layout(head)  # type: ignore[attr-defined]
    except GroundswellError as fault:
        check_told(fault)
    else:
        empty = pl.DataFrame(schema={**layout.raw, "line": pl.UInt32()})
        assert layout.rows(empty).height == 0


# Turns over several parts


@given(
    parents=st.lists(st.integers(-1, 60), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_chats_lead_to_the_one_they_began_with(parents: list[int], cuts: list[int]) -> None:
    chats = pl.Series(range(len(parents)), dtype=pl.Int64)
    # A parent comes before its child, or is not in the file at all.
    before = pl.Series([p if p < i else p + 1000 for i, p in enumerate(parents)], dtype=pl.Int64)

    def began(chat: int) -> int:
        while chat < 1000 and before[chat] != -1:
            chat = before[chat]
        return chat

    roots = Roots()
    edges = sorted({0, *(min(c, len(parents)) for c in cuts), len(parents)})
    found = [roots.of(chats[a:b], before[a:b])["conversation"].to_list() for a, b in pairwise(edges)]
    assert [root for part in found for root in part] == [began(i) for i in range(len(parents))]


@given(parents=st.lists(st.integers(-1, 9), min_size=1, max_size=12))
def test_chats_that_lead_in_a_circle_end_somewhere(parents: list[int]) -> None:
    chats = pl.Series(range(len(parents)), dtype=pl.Int64)
    assert Roots().of(chats, pl.Series(parents, dtype=pl.Int64))["conversation"].null_count() == 0


def talks(n: int, seed: int) -> Workload:
    rng = np.random.default_rng(seed)
    whole = Workload.from_columns(
        np.cumsum(rng.exponential(1.0, n)).round(3).astype(np.float64),
        rng.integers(0, 2, n).astype(np.uint32),
        ["text", "image"],
        rng.integers(1, 50, n).astype(np.int32),
        rng.integers(1, 50, n).astype(np.int32),
    )
    ids = pl.Series("conversation", rng.integers(0, n // 3, n), dtype=pl.Int64).set(
        pl.Series(rng.random(n) < 0.1), None
    )
    return Workload(whole.frame.with_columns(ids, pl.Series("failed", rng.random(n) < 0.2)))


@pytest.mark.parametrize("name", ["bailian", "otel", "gateway"])
def test_conversations_survive_being_written_and_read(name: str, tmp_path: Path) -> None:
    whole = talks(300, 1)
    formats.write([whole], tmp_path / "x.jsonl", name)
    formats.write(cut(whole, [1, 2, 100, 101]), tmp_path / "cut.jsonl", name)
    assert (tmp_path / "x.jsonl").read_bytes() == (tmp_path / "cut.jsonl").read_bytes()
    back = table(read(tmp_path / "x.jsonl"))
    pairs = pl.DataFrame({"was": whole.frame["conversation"], "is": back["conversation"]})
    together = pairs.drop_nulls("was").unique()
    assert together["was"].n_unique() == together["is"].n_unique() == together.height
    assert back["client"].to_list() == whole.frame["client"].cast(pl.String).to_list()
    if name == "bailian":
        turn = pl.int_range(1, pl.len() + 1).over("conversation")
        own = whole.frame.select(pl.when(pl.col("conversation").is_null()).then(1).otherwise(turn)).to_series()
        assert back["turn"].to_list() == own.to_list()
    else:
        assert back["failed"].to_list() == whole.frame["failed"].to_list()


@pytest.mark.parametrize("name", ["otel", "gateway"])
def test_dates_are_written_from_where_the_workload_begins(name: str, tmp_path: Path) -> None:
    start = datetime(2025, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
    formats.write([talks(5, 2)], tmp_path / "x.jsonl", name, {"start_unix_s": start.timestamp()})
    first = table(read(tmp_path / "x.jsonl"))["arrival_s"][0]
    assert first == pytest.approx(start.timestamp() + talks(5, 2).arrival_s[0], abs=1e-6)


# Ids, names and times


@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=20))
def test_ids_are_equal_for_equal_texts_and_null_for_none(ids: list[str | None]) -> None:
    numbers = id_numbers(pl.Series("id", ids, dtype=pl.String)).to_list()
    known = {text: number for text, number in zip(ids, numbers, strict=True) if text is not None}
    assert [None if text is None else known[text] for text in ids] == numbers
    assert len(set(known.values())) == len(known)
    assert all(0 <= number < 2**63 for number in known.values())


def test_numbers_of_ids_are_spread_evenly() -> None:
    n = 100_000
    numbers = id_numbers(pl.Series([f"chat-{i}" for i in range(n)])).to_numpy()
    assert np.unique(numbers).size == n
    for shift in (0, 20, 40, 58):
        counts = np.bincount((numbers >> shift) & 31, minlength=32)
        # Chi-squared with 31 degrees of freedom has mean 31 and variance 62.
        assert ((counts - n / 32) ** 2 / (n / 32)).sum() < 31 + 5 * 62**0.5


@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=8))
def test_keys_are_named_by_their_sha256(keys: list[str | None]) -> None:
    expected = [None if key is None else f"key-{hashlib.sha256(key.encode()).hexdigest()[:12]}" for key in keys]
    assert key_names(pl.Series("key", keys, dtype=pl.String)).to_list() == expected


MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))
ZONES = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@given(moment=MOMENTS, zone=ZONES)
def test_instants_are_what_python_reads(moment: datetime, zone: timezone) -> None:
    at = moment.replace(tzinfo=zone)
    plain = moment.replace(tzinfo=UTC)
    texts = [at.isoformat(), at.isoformat(" "), plain.isoformat().replace("+00:00", "Z"), moment.isoformat()]
    texts += [json.dumps({"$date": at.isoformat()}), str(round(plain.timestamp(), 3))]
    expected = [at.timestamp()] * 2 + [plain.timestamp()] * 2 + [at.timestamp(), round(plain.timestamp(), 3)]
    assert instants(pl.Series(texts)).to_list() == pytest.approx(expected, abs=1e-6)


@given(st.integers(10**11, 2**62))
def test_instants_too_large_for_seconds_are_in_the_smallest_unit_that_places_them(number: int) -> None:
    seconds = instants(pl.Series([str(number)]))[0]
    scale = next(scale for scale in (1e3, 1e6, 1e9) if number < 1e11 * scale)
    assert seconds == pytest.approx(number / scale)


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "-inf", "1e300", "2024-02-30T00:00:00Z", "{}", "\x00", "²"])
def test_what_is_no_instant_is_null(text: str) -> None:
    assert instants(pl.Series([text])).to_list() == [None]


def test_dates_are_numbers_of_this_century() -> None:
    assert dated([1.7e9, 1.6e9])
    assert not dated([1.7e9, 3.0])
    assert not dated([])
    assert not dated([None, "x", True])
