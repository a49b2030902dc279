"""``groundswell search`` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundswell.cli import execute as run
from groundswell.results import Results
from queue_server import queue_server
from real_servers import Server
from replaying import workload

CAPACITY_PER_S, REPLY_S = 100.0, 0.4


@pytest.fixture
def traffic(tmp_path: Path) -> str:
    path = tmp_path / "traffic.parquet"
    workload(np.arange(2000) / 40.0, outputs=2).write(path)
    return str(path)


def strict(text: str) -> Any:
    """JSON as the standard has it, without infinities."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_the_capacity_of_a_server_is_found(traffic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Evenly spaced requests at less than the capacity take 0.4 s and 10 ms of service; at twice of it the last of 2 s
    wait 2 s. A machine that is so busy that our own lag is above 20 ms says so and finds nothing."""
    folder = tmp_path / "found"
    given = ["--slo", "ttft:p90<600ms", "--trial", "2s", "--first", "50", "--tolerance", "1.1", "-o", str(folder)]
    with queue_server(CAPACITY_PER_S, REPLY_S) as server:
        code = run(["search", traffic, "--url", server.url, *given])
    said = capsys.readouterr().out
    found = strict((folder / "search.json").read_text())
    tried = found["trials"]
    assert [Path(trial["results"]).name for trial in tried] == [
        f"trial-{i:02d}.parquet" for i in range(1, len(tried) + 1)
    ]
    for trial in tried:
        results = Results.read(trial["results"])
        assert len(results) == trial["requests"]
        assert trial["requests"] == pytest.approx(trial["rate_per_s"] * trial["span_s"], rel=0.02)
    assert len({Results.read(trial["results"]).run["seed"] for trial in tried}) == len(tried)
    assert (code == 0) == (found["why"] == "found")
    if code == 0:
        assert found["bracket"]["meets"] <= CAPACITY_PER_S * 1.1
        assert found["bracket"]["fails"] >= CAPACITY_PER_S * 0.9
        assert "is met up to" in said
        assert "Goodput there" in said


def test_llama_cpp_is_searched(
    llama_server: Server, traffic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--slo", "e2e:p90<60s", "--trial", "2s", "--first", "60", "--budget", "7s", "--json"]
    given += ["--url", llama_server.url, "--tokenizer", str(llama_server.folder), "-o", str(tmp_path / "found")]
    code = run(["search", traffic, *given])
    out, err = capsys.readouterr()
    found = strict(out)
    spoilt = found["why"] in ("invalid", "server") or all(trial["held"] == "invalid" for trial in found["trials"])
    assert code == (1 if spoilt else 0)
    assert found["trials"]
    assert found == strict((tmp_path / "found" / "search.json").read_text())
    assert "60 req/s for 2s" in err
    results = Results.read(found["trials"][0]["results"])
    assert results.frame["error"].null_count() == len(results)
    assert results.frame["prompt_tokens"].to_list() == [40] * len(results)


def test_ctrl_c_keeps_what_was_found(traffic: str, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    command = [sys.executable, "-m", "groundswell.cli", "search", traffic, "--slo", "ttft:p50<3s", "--trial", "2s"]
    with queue_server(1000.0, 1.0) as server:
        process = subprocess.Popen(
            [*command, "--url", server.url, "--first", "100", "-o", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        told: list[str] = []

        def interrupt() -> None:
            assert process.stdout is not None
            told.append(process.stdout.readline())
            while not (folder / "trial-02.parquet.run").exists() and process.poll() is None:
                time.sleep(0.02)
            time.sleep(0.5)
            os.kill(process.pid, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        thread.join()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "groundswell: interrupted"
    assert "100 req/s for 2s" in told[0]
    assert "The search was interrupted." in out
    assert sorted(path.name for path in folder.iterdir()) == ["search.json", "trial-01.parquet"]
    assert strict((folder / "search.json").read_text())["why"] == "interrupted"


def test_a_folder_with_trials_is_left_as_it_is(
    traffic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "trial-01.parquet").write_bytes(b"mine")
    asked = ["search", traffic, "--url", "http://127.0.0.1:9", "--slo", "ttft:p99<1s", "-o", str(tmp_path / "found")]
    assert run(asked) == 2
    assert "holds the trials of an earlier search" in capsys.readouterr().err
    assert (tmp_path / "found" / "trial-01.parquet").read_bytes() == b"mine"


def test_a_server_that_is_not_there_is_one_line(
    traffic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["search", traffic, "--url", "http://127.0.0.1:9", "--slo", "ttft:p99<1s", "-o", str(tmp_path / "found")]
    assert run(asked) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("groundswell: http://127.0.0.1:9 cannot be used")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--slo", "speed:p99<1s"], "there is no metric 'speed'"),
        (["--first", "0"], "--first 0: a rate is above 0"),
        (["--trial", "0s"], "must be longer"),
        (["--budget", "10s"], "is not enough for one trial"),
        (["--url", "ftp://x"], "ftp://x"),
        (["--scale", "clients", "--trial", "5m", "--budget", "1h"], "make --trial shorter"),
        (["--trial", "soon"], "'soon' is no duration"),
        (["-o", "none/found"], "there is no folder none"),
        (["--url", "http://192.0.2.1:8000", "--budget", "1h"], "say --yes to send so many to another machine"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    given: list[str], words: str, traffic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["search", traffic, "--url", "http://127.0.0.1:9", "--slo", "ttft:p99<1s", "-o", str(tmp_path / "found")]
    assert run([*asked, *given]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("groundswell: ")
    assert words in last
