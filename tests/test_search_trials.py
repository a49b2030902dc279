"""Trials against a server: none is disturbed by the one before, and a server that has gone is told from a slow one."""

from __future__ import annotations

import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from groundswell.errors import GroundswellError, UsageError
from groundswell.judge import SLO
from groundswell.replay.options import Options
from groundswell.replay.source import held
from groundswell.results import Results
from groundswell.search.idle import wait_until_idle
from groundswell.search.load import Load
from groundswell.search.trials import Trials, seed_of
from groundswell.serve.control import running_mock
from replaying import workload


def load() -> Load:
    return Load(held(workload(np.arange(400) / 100.0, outputs=2)), "rates")


def test_trials_share_requests_but_no_words(tmp_path: Path) -> None:
    said: list[str] = []
    with running_mock(ttft_s=0.1) as mock:
        trials = Trials(load(), SLO.parse("ttft:p50<30s"), Options(mock.url), tmp_path, said.append)
        first, second = trials.attempt(100.0, 1.0), trials.attempt(100.0, 1.0)
        assert len(mock.log()) == 202  # the server was learned about once, with two requests
    assert len(said) == 1
    one, other = (Results.read(trial.results) for trial in (first, second))
    assert one.floats("due_s").tolist() == other.floats("due_s").tolist()
    assert one.run["workload"] == other.run["workload"]
    assert one.run["digest"] != other.run["digest"]
    assert (first.requests, second.requests) == (100, 100)


def test_words_depend_on_the_seed_and_the_trial() -> None:
    seeds = [seed_of(seed, trial) for seed in range(3) for trial in range(3)]
    assert len(set(seeds)) == 9
    assert max(seeds) < 2**48
    assert seed_of(1, 2) == seeds[5]


def test_a_server_that_has_gone_is_told_from_one_that_is_slow(tmp_path: Path) -> None:
    with running_mock(ttft_s=0.05) as mock:
        trials = Trials(load(), SLO.parse("ttft:p50<30s"), Options(mock.url), tmp_path)
        assert trials.attempt(100.0, 1.0).answered_per_s > 0
    failed = trials.attempt(100.0, 1.0)
    assert (failed.held, failed.answered_per_s) == ("fails", 0.0)
    with pytest.raises(GroundswellError, match="is the server running"):
        trials.attempt(50.0, 1.0)


def test_a_busy_server_is_waited_for() -> None:
    with running_mock(ttft_s=1.5, tokens=1) as mock:
        body = b'{"model": "mock", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1}'
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{mock.url}/v1/chat/completions", body, headers)  # noqa: S310

        def ask() -> None:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
                reply.read()

        thread = threading.Thread(target=ask)
        thread.start()
        while not len(mock.log()):
            time.sleep(0.01)
        assert wait_until_idle(Options(mock.url), pause_s=0.1)
        assert mock.log()["last_ns"][0] > 0
        thread.join()


def test_nobody_waits_for_a_server_that_does_not_say_what_it_does() -> None:
    assert not wait_until_idle(Options("http://127.0.0.1:9"), pause_s=0.1)
    assert not wait_until_idle(Options("http://127.0.0.1:9", metrics=False), pause_s=0.1)


def test_earlier_trials_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "trial-01.parquet.run").mkdir()
    with pytest.raises(UsageError, match="holds the trials of an earlier search"):
        Trials(load(), SLO.parse("ttft:p50<30s"), Options("http://127.0.0.1:9"), tmp_path)
