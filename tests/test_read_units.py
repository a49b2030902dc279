"""Times in another unit than they are taken for, and times that cannot be meant: seen, said, and with a way out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from groundswell.errors import DataError
from groundswell.formats.reading import read
from traces import HEADER, read_text, rows_of, saved


def csv_of(times: Iterable[float]) -> str:
    return HEADER + "".join(f"{t},c,1,1\n" for t in times)


def test_seconds_in_a_format_that_counts_milliseconds_are_noticed(tmp_path: Path) -> None:
    rows = [{"timestamp": i // 3, "input_length": 900, "output_length": 3, "hash_ids": [i, -i]} for i in range(600)]
    trace = read(saved(tmp_path, "".join(json.dumps(row) + "\n" for row in rows)))
    rows_of(trace)
    assert trace.format == "mooncake"
    assert any("requests a second; if times are in a larger unit" in note for note in trace.reading.notes)


def test_milliseconds_with_decimals_are_noticed_and_the_way_out_works(tmp_path: Path) -> None:
    ms = np.cumsum(np.random.default_rng(9).exponential(3000, 500))
    path = saved(tmp_path, "arrived_at,num_prefill_tokens,num_decode_tokens\n" + "".join(f"{t},1,2\n" for t in ms))
    trace = read(path)
    rows_of(trace)
    (note,) = trace.reading.notes
    options = re.search(r"say so \((.*) --time-unit ms\)", note)
    assert options is not None
    columns = dict(text.split("=") for text in shlex.split(options[1]) if text != "--map")
    assert rows_of(read(path, columns=columns, time_unit="ms"))["arrival_s"][-1] == pytest.approx(1500, rel=0.2)


def test_few_requests_with_dates_are_not_taken_for_milliseconds(tmp_path: Path) -> None:
    start = datetime(2024, 5, 10, tzinfo=UTC)
    dates = [(start + timedelta(hours=i)).isoformat(" ") for i in range(200)]
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(f"{date},1,2\n" for date in dates)
    trace = read(saved(tmp_path, text))
    rows_of(trace)
    assert trace.reading.notes == ()


def test_rows_without_a_real_time_are_noticed(tmp_path: Path) -> None:
    time = np.where(np.arange(400) % 100 == 7, 0.0, 1.7e9 + np.arange(400))
    trace = read(saved(tmp_path, csv_of(time)))
    rows_of(trace)
    assert any("4 of the first 400 come up to 19,676 days away" in note for note in trace.reading.notes)


def test_a_time_that_no_request_has_is_a_wrong_row(tmp_path: Path) -> None:
    text = csv_of(np.arange(300)) + "1e30,a,1,1\n-2e11,a,1,1\n"
    with pytest.raises(DataError, match=r"line 302: column 'arrival_s' is 1e\+30, not a time"):
        read_text(tmp_path, text)
    trace = read(saved(tmp_path, text), bad_rows="skip")
    assert len(rows_of(trace)) == 300
    assert trace.reading.skipped == 2
