"""``groundswell run`` as a user types it: from clients to a page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundswell.cli import execute as run
from groundswell.results import Results
from groundswell.serve.control import running_mock
from groundswell.table import Workload
from real_servers import Server

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def clients(tmp_path: Path) -> str:
    path = tmp_path / "clients.toml"
    lengths = '{ input_tokens = "lognormal:mean=60,cv=0.5", output_tokens = "exponential:mean=6" }'
    path.write_text(f'[[client]]\nname = "steady"\nrate = 2.0\nlengths = {lengths}\n')
    return str(path)


def test_one_command_goes_from_clients_to_a_page(
    llama_server: Server, clients: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    given = ["--rate", "20", "--duration", "3s", "--slo", "ttft:p50<10s", "--tokenizer", str(llama_server.folder)]
    code = run(["run", clients, "--url", llama_server.url, *given, "-o", str(folder)])
    shown = capsys.readouterr()
    assert code == (1 if "INVALID" in shown.out else 0)
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "results.parquet", "workload.parquet"]
    sent, came = Workload.read(folder / "workload.parquet"), Results.read(folder / "results.parquet")
    assert len(came) == len(sent) > 30
    assert came.frame["error"].null_count() == len(came)
    assert came.frame["prompt_tokens"].to_list() == sent.frame["input_tokens"].to_list()
    assert came.frame["output_tokens"].to_list() == sent.frame["output_tokens"].to_list()
    assert shown.out.startswith(f"{len(sent)} requests from 1 client")
    assert "ttft:p50<10s" in shown.out
    assert "ttft:p50" in (folder / "report.html").read_text()


def test_a_folder_with_a_run_is_left_as_it_is(clients: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    asked = ["run", clients, "--rate", "20", "--duration", "1s", "-o", str(folder)]
    with running_mock(ttft_s=0.05) as mock:
        run([*asked, "--url", mock.url])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    assert run([*asked, "--url", NOBODY]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert (
        last == f"groundswell: {folder}: holds a run already; name another folder, or remove {folder}/results.parquet"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_interrupted_run_is_judged_and_drawn_and_goes_on_with_replay(clients: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    asked = ["run", clients, "--rate", "20", "--duration", "3s", "-o", str(folder)]
    with running_mock(ttft_s=0.1) as mock:
        process = subprocess.Popen(
            [sys.executable, "-m", "groundswell.cli", *asked, "--url", mock.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not len(mock.log()) > 10 and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert err.splitlines()[-1] == "groundswell: interrupted"
        again = f"groundswell replay {folder}/workload.parquet --url {mock.url} -o {folder}/results.parquet --resume"
        assert again in err
        assert f"wrote {folder}/report.html" in out
        before = (folder / "workload.parquet").read_bytes()
        assert run([*asked, "--url", mock.url]) == 2
        assert (folder / "workload.parquet").read_bytes() == before
        assert run(again.split()[1:]) in (0, 1)
    sent, came = Workload.read(folder / "workload.parquet"), Results.read(folder / "results.parquet")
    assert came.frame["row"].to_list() == list(range(len(sent)))
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "results.parquet", "workload.parquet"]


def test_a_server_that_is_not_there_leaves_a_workload_that_can_be_sent_later(
    clients: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", clients, "--url", NOBODY, "--rate", "20", "--duration", "1s", "-o", str(tmp_path / "out")]
    assert run(asked) == 1
    assert "is the server running" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["workload.parquet"]
    assert run(asked) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--rate", "fast"], "fast"),
        (["--rate", "0.001", "--duration", "1s"], "say a higher --rate or a longer --duration"),
        (["--duration", "0s"], "--duration 0s: must be above 0"),
        (["--slo", "ttft<1"], "has not the form METRIC:STATISTIC<BOUND"),
        (["--url", "here"], "here"),
        (["-o", "none/out"], "there is no folder none"),
        (["-o", "FILE"], "is no folder"),
        (["--max-open", "-1"], "--max-open"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    given: list[str], words: str, clients: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", clients, "--url", NOBODY, "--rate", "20", "-o", str(tmp_path / "out")]
    assert run([*asked, *(clients if word == "FILE" else word for word in given)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("groundswell: ")
    assert words in last
