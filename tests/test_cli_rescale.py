"""``groundswell rescale`` as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell.cli import execute as run
from groundswell.formats import FORMATS
from groundswell.formats.reading import read
from groundswell.rescale import METHODS
from groundswell.table import Workload
from rescaling import gaps_within, starts, talks
from traces import HEADER, rows_of, saved
from workloads import WRITTEN, everything, random_workload

SCALED = ("itt", "naive", "time")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.parquet"
    Workload(talks().frame, {"prefix_block_tokens": 16, "start_unix_s": 1.7e9}).write(path)
    return path


def rescaled(trace: Path, *arguments: str) -> Workload:
    out = trace.with_name("out.parquet")
    assert run(["rescale", str(trace), "-o", str(out), *arguments]) == 0
    return Workload.read(out)


@pytest.mark.parametrize("method", SCALED)
@pytest.mark.parametrize("rate", [0.5, 3.0, 40.0])
def test_the_rate_that_is_asked_for_comes_out(trace: Path, method: str, rate: float) -> None:
    before = Workload.read(trace)
    after = rescaled(trace, "--to", str(rate), "--method", method)
    own = len(before) / before.arrival_s[-1]
    assert after.metadata["factor"] == pytest.approx(rate / own)
    assert len(after) == len(before)
    if method == "itt":
        assert starts(after.frame) == pytest.approx(starts(before.frame) * own / rate, abs=1e-9)
    else:
        assert len(after) / after.arrival_s[-1] == pytest.approx(rate)


def test_thin_and_burstgpt_keep_the_span_at_the_rate_that_is_asked_for(trace: Path) -> None:
    before = Workload.read(trace)
    requests = before.frame.group_by("conversation").len()["len"].to_numpy().astype(float)
    own, span_s = len(before) / before.arrival_s[-1], before.arrival_s[-1]
    for factor in (0.5, 2.4):
        after = rescaled(trace, "--to", str(own * factor), "--method", "thin", "--jitter", "1m")
        part = factor % 1.0
        error = np.sqrt(part * (1 - part) * (requests**2).sum())
        assert abs(len(after) - factor * len(before)) < 5 * error
        assert starts(after.frame)[-1] <= span_s
        model = rescaled(trace, "--to", str(own * factor), "--method", "burstgpt")
        assert len(model) / span_s == pytest.approx(own * factor, rel=0.2)
        assert model.clients == ("burstgpt",)


def test_a_factor_needs_no_more_of_the_trace_than_the_span_that_is_asked_for(trace: Path) -> None:
    after = rescaled(trace, "--to", "x2", "--span", "10m:30m", "--method", "naive")
    arrival_s = Workload.read(trace).arrival_s
    inside = arrival_s[(arrival_s >= 600) & (arrival_s < 1800)]
    assert after.arrival_s == pytest.approx((inside - 600) / 2, abs=1e-6)
    assert after.metadata["start_unix_s"] == 1.7e9 + 600


def test_a_rate_is_that_of_the_span(trace: Path) -> None:
    after = rescaled(trace, "--to", "9", "--span", "10m:30m", "--method", "naive")
    arrival_s = Workload.read(trace).arrival_s
    n = int(((arrival_s >= 600) & (arrival_s < 1800)).sum())
    assert after.metadata["factor"] == pytest.approx(9 / (n / 1200))


def test_requests_are_filtered_before_they_are_rescaled(tmp_path: Path) -> None:
    everything().write(tmp_path / "trace.parquet")
    after = rescaled(tmp_path / "trace.parquet", "--to", "x3", "--filter", "model=m,failed=no", "--filter", "client=a")
    assert set(after.frame["model"]) == {"m"}
    assert not after.frame["failed"].any()
    assert set(after.frame["client"]) == {"a"}


def test_burstgpts_filter_is_by_model_and_log_type(tmp_path: Path) -> None:
    head = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    rows = "5,,1,GPT-4,472,18,490,API log\n45,1,2,GPT-4,108,30,138,Conversation log\n118,,1,ChatGPT,17,9,26,API log\n"
    path = saved(tmp_path, head + rows + "130,,1,GPT-4,20,8,28,API log\n")
    after = rescaled(path, "--to", "x2", "--filter", "model=GPT-4,log_type=API")
    assert after.frame["input_tokens"].to_list() == [472, 20]
    assert after.arrival_s.tolist() == [0.0, 62.5]


@pytest.mark.parametrize("method", METHODS.names())
def test_the_same_seed_gives_the_same_bytes_and_the_file_says_how_it_was_made(trace: Path, method: str) -> None:
    arguments = ["--to", "x1.5", "--method", method, "--seed", "7"]
    w = rescaled(trace, *arguments)
    once = trace.with_name("out.parquet").read_bytes()
    rescaled(trace, *arguments)
    assert trace.with_name("out.parquet").read_bytes() == once
    assert {name: w.metadata[name] for name in ("method", "factor", "seed")} == {
        "method": method,
        "factor": 1.5,
        "seed": 7,
    }
    named = "" if method == "itt" else f" --method {method}"
    assert w.metadata["command"] == f"groundswell rescale trace.parquet --to x1.5{named} --seed 7"
    assert w.metadata["prefix_block_tokens"] == 16


@pytest.mark.parametrize("target", [name for name in WRITTEN if hasattr(FORMATS[name], "layout")])
def test_any_format_can_be_written(target: str, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = trace.with_name("out")
    assert run(["rescale", str(trace), "--to", "x2", "-o", str(out), "--as", target]) == 0
    assert len(rows_of(read(out, target))) == len(Workload.read(trace))
    assert f"wrote {out}" in capsys.readouterr().out


def test_a_trace_far_out_of_order_is_rescaled_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_pieces: None
) -> None:
    times = np.random.default_rng(1).permutation(500)
    path = saved(tmp_path, HEADER + "".join(f"{t},a,{t},1\n" for t in times))
    assert rescaled(path, "--to", "x2").frame["input_tokens"].to_list() == list(range(500))
    assert rescaled(path, "--to", "x2").arrival_s[-1] == 249.5


def test_clients_that_become_known_late_reach_a_parquet_file(tmp_path: Path, small_pieces: None) -> None:
    path = saved(tmp_path, HEADER + "".join(f"{i},c{i // 40},{i},1\n" for i in range(400)))
    assert rescaled(path, "--to", "x2").clients == tuple(f"c{i}" for i in range(10))
    copied = rescaled(path, "--to", "x2", "--method", "thin", "--by", "client")
    assert len(copied.clients) == 20
    assert len(copied) == 800


def test_what_came_of_it_is_said(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rescaled(trace, "--to", "x20")
    said = capsys.readouterr().out
    n = len(Workload.read(trace))
    assert "rescaled x20 by itt: from" in said
    assert "of the requests come after" in said
    assert f"{n:,} requests in" in said
    rescaled(trace, "--to", "x2", "--method", "naive")
    assert "come after" not in capsys.readouterr().out


@pytest.mark.parametrize("method", SCALED)
def test_what_is_read_again_has_the_inter_turn_times_that_the_method_promises(trace: Path, method: str) -> None:
    before = gaps_within(Workload.read(trace).frame)
    after = gaps_within(rescaled(trace, "--to", "x4", "--method", method).frame)
    shrunk = 1.0 if method == "itt" else 4.0
    assert after["gap_s"].to_numpy() == pytest.approx(before["gap_s"].to_numpy() / shrunk, abs=1e-8)


BAD = [
    (["--to", "x"], 2, "--to 'x': is no rate"),
    (["--to", "x0"], 2, "--to 'x0': must be a number above 0"),
    (["--to", "-5"], 2, "--to '-5': must be a number above 0"),
    (["--to", "nan"], 2, "--to 'nan': must be a number above 0"),
    (["--to", "3/s"], 2, "--to '3/s': is no rate"),
    (["--to", "x1e9"], 2, "a factor of 1e+09"),
    ([], 2, "Missing option '--to'"),
    (["--to", "x2", "--method", "ittt"], 2, "methods has no 'ittt'; it has burstgpt, itt, naive, thin, time"),
    (["--to", "x2", "--by", "client"], 2, "itt takes no parameters, not 'by=client'"),
    (["--to", "x2", "--method", "thin", "--by", "sender"], 2, "by must be client, conversation, request or auto"),
    (["--to", "x2", "--method", "thin", "--jitter", "long"], 2, "'long' is no duration"),
    (["--to", "x2", "--method", "thin", "--by", "conversation"], 2, "the trace names no conversations"),
    (["--to", "x2", "--span", "3h:1h"], 2, "is empty"),
    (["--to", "x2", "--span", "3h:4h"], 2, "ends at 9s, before the span begins"),
    (["--to", "x2", "--filter", "model=a"], 2, "the trace has no 'model'; it has client, input_tokens, output_tokens"),
    (["--to", "x2", "--filter", "client=z"], 2, "no request has client=z; client is a"),
    (["--to", "x2", "--filter", "client"], 2, "say COLUMN=VALUE"),
    (["--to", "x2", "-o", "in.csv"], 2, "in.csv: is what this command reads"),
    (["--to", "x2", "-o", "out.xyz"], 2, "names no format"),
    (["--to", "x2", "-o", "none/out.csv"], 2, "there is no folder"),
    (["--to", "x2", "--as", "nix"], 2, "formats has no 'nix'"),
    (["--to", "x2", "--from", "nix"], 2, "formats has no 'nix'"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), BAD)
def test_what_cannot_be_asked_is_one_line_and_leaves_nothing(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, HEADER + "".join(f"{i},a,1,2\n" for i in range(10)), "in.csv")
    output = [] if "-o" in arguments else ["-o", "out.csv"]
    assert run(["rescale", "in.csv", *output, *arguments]) == code
    one_line(capsys, said)
    assert os.listdir(tmp_path) == ["in.csv"]


def one_line(capsys: pytest.CaptureFixture[str], said: str) -> None:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("groundswell: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "0,1,1,1,7\n1,1,1,1,7\n2,1,1,2,\n",
            "trace.csv, line 4: column 'turn' is 2, but column 'conversation' is empty",
        ),
        (
            "0,1,1,2,7\n1,1,1,1,7\n",
            "trace.csv: the request at 1 s is turn 1 of conversation 7, which began with turn 2",
        ),
    ],
)
@pytest.mark.parametrize("method", ["itt", "thin"])
def test_turns_that_cannot_be_are_one_line(
    rows: str, said: str, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path, "arrival_s,input_tokens,output_tokens,turn,conversation\n" + rows)
    out = tmp_path / "out.csv"
    asked = ["--to", "x2", "--method", method]
    assert run(["rescale", str(path), "-o", str(out), *asked]) == 1
    one_line(capsys, said)
    assert not out.exists()


def test_a_trace_of_one_instant_has_no_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, HEADER + "5,a,1,2\n5,a,1,2\n")
    assert run(["rescale", str(path), "--to", "10", "-o", str(tmp_path / "out.csv")]) == 1
    one_line(capsys, "all its requests come at the same time, so it has no rate; say a factor (x2)")
    assert run(["rescale", str(path), "--to", "x10", "-o", str(tmp_path / "out.csv")]) == 0


def test_a_pipe_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "groundswell.cli", "rescale", "/dev/stdin", "--to", "x2", "-o", "out.csv"]
    text = HEADER + "0,a,1,1\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "is a pipe or a device, and a trace is read more than once" in done.stderr
    assert done.stderr.count("\n") == 1


def test_rows_alone_go_to_stdout(tmp_path: Path) -> None:
    random_workload(30).write(tmp_path / "t.parquet")
    command = [sys.executable, "-m", "groundswell.cli", "rescale", "t.parquet", "--to", "x2", "-o", "/dev/stdout"]
    done = subprocess.run([*command, "--as", "csv"], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert len(pl.read_csv(done.stdout.encode())) == 30
    assert "rescaled x2 by itt" in done.stderr


def test_that_a_trace_names_no_conversations_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random_workload(30).write(tmp_path / "trace.parquet")
    rescaled(tmp_path / "trace.parquet", "--to", "x2")
    assert "names no conversations" in capsys.readouterr().err
    rescaled(tmp_path / "trace.parquet", "--to", "x2", "--method", "naive")
    assert capsys.readouterr().err == ""
