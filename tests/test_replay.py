"""Runs as a whole: every request is sent when it is due and ends as one row."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from fault_server import FaultServer
from groundswell.errors import UsageError
from mock_server import COMPILER, NO_COMPILER, mock_server
from replaying import run, workload

needs_mock = pytest.mark.skipif(COMPILER is None, reason=NO_COMPILER)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_request_ends_as_one_row_and_none_goes_early(tmp_path: Path, workers: int) -> None:
    arrival_s = np.sort(np.random.default_rng(1).uniform(0, 1.0, 500))
    results, outcome = run(workload(arrival_s), "http://localhost", tmp_path, target="null", workers=workers)
    frame = results.frame
    assert frame["row"].to_list() == list(range(500))
    assert frame["error"].null_count() == 500
    assert np.allclose(frame["due_s"].to_numpy(), arrival_s, atol=1e-8)
    assert (frame["sent_s"] >= frame["due_s"] - 1e-8).all()
    assert outcome.remaining == 0
    assert outcome.folder is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.parquet"]


def test_what_is_sent_is_a_function_of_the_seed(tmp_path: Path) -> None:
    given = workload(np.linspace(0, 0.2, 100), conversation=[i % 30 for i in range(100)])

    def digest(name: str, **options: object) -> str:
        (tmp_path / name).mkdir()
        results, _ = run(given, "http://localhost", tmp_path / name, target="null", **options)
        return str(results.run["digest"])

    first = digest("a", workers=1, seed=3)
    assert digest("b", workers=2, seed=3) == first
    assert digest("c", workers=1, seed=4) != first


@needs_mock
def test_a_server_that_stands_still_shows_in_all_requests_that_were_due_meanwhile(tmp_path: Path) -> None:
    """200 requests a second, for 8 s, of which the server stands still for 2 s: a quarter of the requests wait for what
    is left of the 2 s, which is uniform, so a share of (2 - x) / 8 waits longer than x s. A machine with other things
    to do adds to that, so the mock's own times are held to 1 %, and the closed form to what such a machine may add."""
    rate, span_s, still_s = 200, 8.0, 2.0
    given = workload(np.arange(0, span_s, 1 / rate))
    with mock_server(tokens=4) as mock:
        timer = threading.Timer(3.0, lambda: mock.stop_for(still_s).join())
        timer.start()
        results, _ = run(given, mock.url, tmp_path, workers=1)
        timer.join()
        log = mock.log()
    frame = results.frame
    ttft_s = (frame["first_token_s"] - frame["due_s"]).to_numpy()
    begin_s = (log["arrival_ns"] * 1e-9 - frame["sent_s"].to_numpy()).min()  # 0 s of the run on the mock's clock
    true_s = np.sort(log["first_ns"]) * 1e-9 - begin_s - frame["due_s"].to_numpy()
    for share in (0.80, 0.90, 0.95, 0.99):
        reported_s = np.quantile(ttft_s, share)
        assert reported_s == pytest.approx(np.quantile(true_s, share), rel=0.01, abs=0.03)
        assert reported_s == pytest.approx(still_s - (1 - share) * span_s, abs=0.25)
    assert np.quantile(ttft_s, 0.5) < 0.05


def test_a_turn_waits_for_the_reply_before_it_and_the_time_to_think(tmp_path: Path) -> None:
    given = workload(
        [0.0, 0.01, 0.02, 0.3],
        inputs=60,
        conversation=[7, 8, 7, 7],
        turn=[1, 1, 2, 3],
        think_s=[None, None, 0.15, 0.2],
        input_tokens=[40, 40, 4000, 20_000],
    )
    with FaultServer() as server:
        results, _ = run(given, server.url, tmp_path, workers=2)
        bodies = {len(json.loads(one.body)["messages"]): json.loads(one.body) for one in server.last}
    frame = results.frame
    done_s, due_s = frame["done_s"].to_list(), frame["due_s"].to_list()
    assert due_s[2] == pytest.approx(done_s[0] + 0.15, abs=1e-6)
    assert due_s[3] == pytest.approx(done_s[2] + 0.2, abs=1e-6)
    assert sorted(bodies) == [1, 3, 5]
    roles = [message["role"] for message in bodies[5]["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert bodies[5]["messages"][:3] == bodies[3]["messages"]
    assert frame["fresh"].to_list() == [False] * 4


def test_open_turns_go_out_at_their_recorded_times(tmp_path: Path) -> None:
    given = workload([0.0, 0.05, 0.1], conversation=[7, 7, 7], turn=[1, 2, 3], think_s=[None, 5.0, 5.0])
    with FaultServer() as server:
        results, _ = run(given, server.url, tmp_path, turns="open")
        assert {len(json.loads(one.body)["messages"]) for one in server.last} == {1}
    assert results.frame["due_s"].to_list() == pytest.approx([0.0, 0.05, 0.1])


def test_synthetic_turns_repeat_what_blocks_say_they_share(tmp_path: Path) -> None:
    given = workload(
        [0.0, 0.02, 0.03],
        conversation=[7, 7, 8],
        turn=[1, 2, 1],
        think_s=[None, 0.01, None],
        input_tokens=[40, 72, 40],
        prefix_blocks=[[1, 2], [1, 2, 3, 4], [1, 9]],
    )
    given.metadata["prefix_block_tokens"] = 16
    with FaultServer() as server:
        run(given, server.url, tmp_path, answers="synthetic")
        texts = [json.loads(one.body)["messages"][0]["content"].split() for one in server.last]
    second = max(texts, key=len)
    firsts = [words for words in texts if words is not second]
    assert sorted(len(words) for words in texts) == [40, 40, 72]
    assert [words[:32] == second[:32] for words in firsts].count(True) == 1
    assert all(words[:16] == second[:16] for words in firsts)


def test_requests_held_back_by_a_limit_are_marked(tmp_path: Path) -> None:
    given = workload(np.zeros(6))
    with FaultServer("stall") as server:
        results, _ = run(given, server.url, tmp_path, most_open=2, timeout_s=0.3)
    frame = results.frame
    assert frame["held"].sum() == 4
    assert set(frame["error"].to_list()) == {"timeout"}
    assert frame.filter(frame["held"])["sent_s"].min() > 0.25  # type: ignore[operator]


def test_a_run_that_is_there_is_neither_overwritten_nor_resumed_as_another(tmp_path: Path) -> None:
    (tmp_path / "results.parquet.run").mkdir()
    with pytest.raises(UsageError, match="--resume"):
        run(workload([0.0]), "http://localhost", tmp_path, target="null")
    (tmp_path / "results.parquet.run").rmdir()
    with pytest.raises(UsageError, match="no interrupted run"):
        run(workload([0.0]), "http://localhost", tmp_path, target="null", resume=True)
