"""Servers that misbehave, and workers that do: every due request ends as one row that says what it ended of, nothing
hangs, and what is not about the server says so."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fault_request import Request
from fault_server import FaultServer
from faults import BEHAVIOURS
from replay_command import when
from replaying import run, workload

EXPECTED: dict[str, set[str | None]] = {
    "well": {None},
    "slow": {None},
    "late": {None},
    "in_one_piece": {None},
    "closes": {None},
    "says_close": {None},
    "says_close_and_stays": {None},
    "until_close": {None},
    "http_1_0": {None},
    "interim": {None},
    "trailers": {None},
    "dies_when_reused": {None},
    "resets_after": {None},
    "reset_until_close": {"reset"},
    "answered_in_its_midst": {"status"},
    "echo": {"protocol"},
    "more_than_asked": {"cut off"},  # it has no type: a stream, then, and one without an end
    "reset": {"reset"},
    "hang_up": {"reset"},
    "reset_in_head": {"reset"},
    "reset_in_stream": {"reset"},
    "hang_up_in_stream": {"reset"},
    "short": {"reset"},
    "stall": {"timeout"},
    "stall_in_stream": {"timeout"},
    "stream_without_end": {"cut off"},
    "error_in_stream": {"server"},
    "status_429": {"status"},
    "status_500": {"status"},
    "status_503": {"status"},
    "status_401": {"status"},
    "refused_in_its_midst": {"status"},
    "garbage": {"protocol"},
    "garbage_in_stream": {"protocol"},
    "half_json": {"protocol"},
    "endless": {"timeout", "too large"},  # as fast as the machine is
    "endless_head": {"too large"},
    "long_line": {"too large"},
}
"""How a request ends that is answered so; None is well."""
NAMES = tuple(EXPECTED)
ROUNDS, FIRST_LENGTH = 3, 8
REASONS = {"status_429": "too many requests", "status_500": "Internal", "error_in_stream": "out of <b>memory</b>"}


def by_length(request: Request) -> bool:
    """Each in its way: the length that is asked for says which."""
    return BEHAVIOURS[NAMES[request.tokens - FIRST_LENGTH]](request)


@pytest.fixture(scope="module")
def all_at_once(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The results of a run in which a server does everything it can, mixed."""
    chosen = np.tile(np.arange(len(NAMES)), ROUNDS)
    np.random.default_rng(5).shuffle(chosen)
    given = workload(np.linspace(0, 2, chosen.size))
    given.frame.replace_column(3, pl.Series("output_tokens", chosen + FIRST_LENGTH, dtype=pl.Int32()))
    BEHAVIOURS["by_length"] = by_length
    try:
        with FaultServer("by_length") as server:
            results, _ = run(given, server.url, tmp_path_factory.mktemp("all"), timeout_s=3.0, event_times=True)
    finally:
        del BEHAVIOURS["by_length"]
    return results.checked().frame.with_columns(pl.Series("name", [NAMES[i] for i in chosen]))


def test_all_that_a_server_can_do_is_expected_somehow() -> None:
    assert set(EXPECTED) == set(BEHAVIOURS)


@pytest.mark.parametrize("name", NAMES)
def test_each_request_ends_as_one_row_that_says_what_of(all_at_once: pl.DataFrame, name: str) -> None:
    mine = all_at_once.filter(pl.col("name") == name)
    assert mine.height == ROUNDS
    assert set(mine["error"].to_list()) <= EXPECTED[name]
    assert (mine["done_s"] >= mine["sent_s"]).all()
    assert (mine["done_s"] - mine["sent_s"]).max() < 3.0 + 5.0  # type: ignore[operator]
    if name in REASONS:
        assert set(mine["words"].to_list()) == {REASONS[name]}
    if name.startswith("status_"):
        assert set(mine["status"].to_list()) == {int(name.removeprefix("status_"))}


def test_no_request_is_there_twice_or_missing(all_at_once: pl.DataFrame) -> None:
    assert all_at_once["row"].to_list() == list(range(ROUNDS * len(NAMES)))


@pytest.mark.parametrize("name", ["refused_in_its_midst", "endless", "closes", "dies_when_reused"])
def test_a_server_that_always_does_that_ends_every_request_alike(tmp_path: Path, name: str) -> None:
    with FaultServer(name) as server:
        results, _ = run(workload(np.linspace(0, 0.5, 12), inputs=4000), server.url, tmp_path, timeout_s=1.0)
    assert len(results) == 12
    assert set(results.frame["error"].to_list()) <= EXPECTED[name]


def test_where_nobody_listens_every_request_is_refused(tmp_path: Path) -> None:
    with FaultServer() as server:
        url = server.url
    results, _ = run(workload(np.linspace(0, 0.5, 40)), url, tmp_path)
    assert results.frame["error"].to_list() == ["refused"] * 40
    assert results.frame["sent_s"].null_count() == 40


def test_a_run_goes_on_with_a_server_that_was_restarted(tmp_path: Path) -> None:
    given = workload(np.arange(0, 4, 0.02))
    with FaultServer("slow") as server:

        def restart() -> None:
            server.stop()
            time.sleep(1.0)
            server.start()

        restarted = when(lambda: server.requests >= 60, restart)
        results, _ = run(given, server.url, tmp_path)
        restarted.join()
    frame = results.frame
    assert frame["row"].to_list() == list(range(200))
    assert set(frame["error"].to_list()) == {None, "refused", "reset"}
    assert frame.filter(pl.col("due_s") < 0.3)["error"].null_count() == 15
    assert frame["error"].to_list()[-30:] == [None] * 30


def test_what_cannot_be_counted_in_a_record_is_not_counted(tmp_path: Path) -> None:
    """Usage of any size and kind, text that is no text, and JSON nested deeper than can be read."""
    events = [
        b'{"choices": [{"index": 0, "delta": {"content": "a"}}]}',
        b'{"choices": [], "usage": {"prompt_tokens": 99999999999999, "completion_tokens": -7}}',
        b'{"choices": [{"index": 0, "delta": {"content": "\\ud800"}}]}',
        b'{"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": "stop"}], "usage": 1e999}',
        b'{"choices": [], "usage": {"prompt_tokens": 1e400, "completion_tokens": NaN}}',
    ]
    deep = b'{"choices": ' + b"[" * 100_000

    def odd(request: Request) -> bool:
        request.stream_head()
        for data in events:
            request.chunk(b"data: " + data + b"\n\n")
        request.chunk(b"")
        return True

    def nested(request: Request) -> bool:
        request.stream_head()
        request.chunk(b"data: " + deep + b"\n\n")
        request.chunk(b"")
        return True

    BEHAVIOURS.update(odd=odd, nested=nested)
    try:
        with FaultServer() as server:
            server.script.extend(["odd", "nested", "well"])
            results, _ = run(workload([0.0, 0.3, 0.6]), server.url, tmp_path, timeout_s=5.0)
    finally:
        del BEHAVIOURS["odd"], BEHAVIOURS["nested"]
    assert results.frame["error"].to_list() == [None, "protocol", None]
    assert results.frame["events"].to_list()[0] == 3


def test_requests_held_back_until_the_end_and_those_that_time_out_are_rows(tmp_path: Path) -> None:
    given = workload(np.linspace(0, 0.2, 30))
    with FaultServer("stall") as server:
        results, _ = run(given, server.url, tmp_path, most_open=10, timeout_s=0.4, workers=2)
        assert server.requests == 30
    assert results.frame["error"].to_list() == ["timeout"] * 30
    assert results.frame["held"].sum() == 20
