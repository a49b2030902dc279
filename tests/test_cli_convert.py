"""``groundswell convert``: any format into any other, and what is said of it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell import formats
from groundswell.cli import execute as run
from groundswell.formats import FORMATS
from groundswell.formats.reading import read
from groundswell.table import Workload
from traces import HEADER, TABLES, rows_of, saved
from workloads import WRITTEN, everything, random_workload

COMMAND = [sys.executable, "-m", "groundswell.cli"]
READ = [name for name in WRITTEN if hasattr(FORMATS[name], "layout")]


@pytest.mark.parametrize(("source", "target"), list(itertools.product(READ, WRITTEN)))
def test_any_format_becomes_any_other(source: str, target: str, tmp_path: Path) -> None:
    w = random_workload(40, items=True)
    formats.write([w], tmp_path / "in", source, metadata={"start_unix_s": 1.7e9})
    assert run(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--to", target]) == 0
    before, after = (rows_of(read(tmp_path / name)) for name in ("in", "out"))
    coarse = {"dynamo", "mooncake"} & {source, target} or (target == "aiperf" and "prefix_blocks" in before.columns)
    step_s = 0.0011 if coarse else 3e-6
    assert after["arrival_s"].to_numpy() == pytest.approx(before["arrival_s"].to_numpy(), abs=step_s)
    assert after["output_tokens"].equals(before["output_tokens"])
    kept = [name for name in ("csv", "jsonl", "parquet", "servegen") if name in (source, target)]
    if len(kept) == 2 or "image_tokens" not in before.columns:
        assert after["input_tokens"].equals(before["input_tokens"])
    else:
        whole = before["input_tokens"] + before["image_tokens"].list.sum()
        assert after["input_tokens"].equals(whole if "image_tokens" not in after.columns else before["input_tokens"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("verb", ["convert", "characterize"])
def test_what_is_printed_onto_a_full_disk_is_one_line_too(verb: str, tmp_path: Path) -> None:
    path = saved(tmp_path, HEADER + "".join(f"{i},a,{i},1\n" for i in range(20)))
    more = [str(tmp_path / "out.parquet")] if verb == "convert" else []
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, verb, str(path), *more], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "groundswell: cannot be written: No space left on device"
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


def test_what_was_written_and_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(
        tmp_path, "ts;in;out;who\n" + "".join(f"{i // 5 * 4};{i};2;{'x' * (i % 3)}\n" for i in range(100)) + "x;1;1;y\n"
    )
    out = tmp_path / "out.jsonl"
    arguments = ["convert", str(path), str(out), "--map", "arrival=ts", "--map", "input_tokens=in"]
    arguments += ["--map", "output_tokens=out", "--client-by", "who", "--bad-rows", "skip", "--dequantise"]
    assert run(arguments) == 0
    shown = capsys.readouterr()
    assert f"wrote {out}" in shown.out
    assert f"100 requests from {path} (csv)" in shown.out
    said = " ".join(shown.err.replace("\n      ", " ").splitlines())
    assert "1 of 101 rows were skipped. line 102: column 'ts' is 'x', not a number" in said
    assert "ticks of 4 s" in said
    assert "name no client" in said
    assert len(rows_of(read(out))) == 100


def test_parquet_keeps_where_it_comes_from_and_all_clients_in_all_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundswell.formats.reading import lines, order

    monkeypatch.setattr(lines, "PIECE_BYTES", 500)
    monkeypatch.setattr(order, "FRAME_ROWS", 20)
    text = HEADER + "".join(f"{i},c{i // 40},{i},1\n" for i in range(400))
    assert run(["convert", str(saved(tmp_path, text)), str(tmp_path / "w.parquet")]) == 0
    w = Workload.read(tmp_path / "w.parquet")
    assert w.clients == tuple(f"c{i}" for i in range(10))
    assert w.metadata["command"] == "groundswell convert trace.csv w.parquet"
    assert w.metadata["source"] == "trace.csv"


def test_a_trace_far_out_of_order_is_sorted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    n = 1_500_000
    times = np.random.default_rng(1).permutation(n)
    frame = pl.DataFrame({"arrival_s": times, "input_tokens": times, "output_tokens": times})
    frame.write_csv(tmp_path / "in.csv")
    for name in ("w.parquet", "w.csv"):
        assert run(["convert", str(tmp_path / "in.csv"), str(tmp_path / name)]) == 0
        assert (rows_of(read(tmp_path / name))["input_tokens"].to_numpy() == np.arange(n)).all()
        assert "far out of order" in capsys.readouterr().err.replace("\n      ", " ")


def dropped(err: str) -> str:
    """What a note says was dropped."""
    said = " ".join(err.replace("\n      ", " ").splitlines())
    return said.partition("note: dropped, as ")[2]


ITEMS = "which input tokens are images, audio or video"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vidur", f"dates, clients, conversations, models, failures, reasoning, {ITEMS}, shared prefixes"),
        ("mooncake", f"dates, clients, conversations, models, failures, reasoning, {ITEMS}"),
        ("bailian", f"dates, times to think, models, failures, reasoning, {ITEMS}"),
        ("gateway", "numbers of turns, times to think, which input tokens are video, shared prefixes"),
        ("csv", "dates, shared prefixes"),
        ("parquet", ""),
    ],
)
def test_what_a_format_drops_is_said(name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metadata = {"prefix_block_tokens": 512, "start_unix_s": 1.7e9}
    Workload(everything().frame, metadata).write(tmp_path / "in.parquet")
    assert run(["convert", str(tmp_path / "in.parquet"), str(tmp_path / "out"), "--to", name]) == 0
    assert dropped(capsys.readouterr().err) == (f"{name} does not hold it: {words}" if words else "")


@pytest.mark.parametrize(("source", "target"), [("vidur", "vllm"), ("azure", "azure"), ("burstgpt", "csv")])
def test_nothing_is_said_where_nothing_is_dropped(
    source: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path, TABLES[source])
    assert run(["convert", str(path), str(tmp_path / "out"), "--to", target]) == 0
    assert capsys.readouterr().err == ""


def test_the_parameters_of_a_format_are_not_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, TABLES["burstgpt"])
    assert run(["convert", str(path), str(tmp_path / "out"), "--to", "vllm:block_tokens=512"]) == 0
    assert dropped(capsys.readouterr().err) == "vllm does not hold it: clients, models, failures"


def test_what_is_generated_is_treated_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clients = tmp_path / "clients.toml"
    lengths = '[client.lengths]\ninput_tokens = "lognormal:mean=600,cv=1"\noutput_tokens = "exponential:mean=200"\n'
    clients.write_text("".join(f'[[client]]\nname = "{name}"\nrate = 1.0\n{lengths}' for name in "ab"))
    arguments = ["generate", str(clients), "--duration", "1m", "-o", str(tmp_path / "out")]
    assert run([*arguments, "--to", "azure"]) == 0
    assert dropped(capsys.readouterr().err) == "azure does not hold it: clients"
    assert run([*arguments, "--to", "csv"]) == 0
    assert dropped(capsys.readouterr().err) == ""


def test_dates_go_from_one_format_to_the_next(tmp_path: Path) -> None:
    path = saved(tmp_path, TABLES["azure"])
    for name in ("w.parquet", "w.csv"):
        assert run(["convert", str(path), str(tmp_path / name), "--to", "parquet" if "p" in name else "azure"]) == 0
        path = tmp_path / name
    assert path.read_text().splitlines()[1:] == [
        "2023-11-16 18:17:03.9799600,4808,10",
        "2023-11-16 18:17:04.0319600,3180,8",
        "2023-11-16 18:17:04.0319600,110,27",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.csv", "out.csv"], 2, "no such file"),
        (["in.csv", "out.xyz"], 2, "names no format"),
        (["in.csv", "out.csv", "--to", "nix"], 2, "formats has no 'nix'"),
        (["in.csv", "out.csv", "--from", "nix"], 2, "formats has no 'nix'"),
        (["in.csv", "out.csv", "--format", "jsonl"], 2, "is csv, not jsonl"),
        (["in.csv", "none/out.csv"], 2, "there is no folder"),
        (["in.csv", "in.csv"], 2, "is what this command reads"),
        (["in.csv", "out.csv", "--map", "arrival"], 2, "say OURS=THEIRS"),
        (["in.csv", "out.csv", "--map", "arrival=a", "--map", "arrival=b"], 2, "given twice"),
        (["in.csv", "out.csv", "--map", "client=who"], 2, "has no column 'who'"),
        (["in.csv", "out.csv", "--time-unit", "h"], 2, "--time-unit"),
        (["in.csv", "out.csv", "--bad-rows", "drop"], 2, "--bad-rows"),
        (["in.csv", "out.csv", "--dequantize"], 2, "No such option"),
        (["in.csv"], 2, "OUT"),
        (["bad.csv", "out.csv"], 1, "bad.csv, line 3: column 'input_tokens' is 'x'"),
        (["bad.csv", "out.parquet"], 1, "bad.csv, line 3: column 'input_tokens' is 'x'"),
        (["empty.csv", "out.csv"], 1, "is empty"),
        (["in.csv", "/dev/full", "--to", "csv"], 1, "cannot be written: No space left"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, HEADER + "0,a,1,2\n1,b,3,4\n", "in.csv")
    saved(tmp_path, HEADER + "0,a,1,2\n1,b,x,4\n", "bad.csv")
    saved(tmp_path, "", "empty.csv")
    before = (tmp_path / "in.csv").read_bytes()
    assert run(["convert", *arguments]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("groundswell: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert sorted(os.listdir(tmp_path)) == ["bad.csv", "empty.csv", "in.csv"]
    assert (tmp_path / "in.csv").read_bytes() == before


def test_rows_alone_go_to_stdout(tmp_path: Path) -> None:
    path = saved(tmp_path, TABLES["vidur"])
    command = [*COMMAND, "convert", str(path), "/dev/stdout", "--to", "csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "arrival_s,client,input_tokens,output_tokens"
    assert len(done.stdout.splitlines()) == 4
    assert "wrote /dev/stdout" in done.stderr


def test_ctrl_c_stops_between_blocks_and_leaves_nothing(tmp_path: Path) -> None:
    n = 3_000_000
    frame = pl.DataFrame(
        {"arrival_s": np.arange(n) / 100, "input_tokens": np.ones(n, int), "output_tokens": np.ones(n, int)}
    )
    frame.write_csv(tmp_path / "in.csv")
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "w.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "convert", str(tmp_path / "in.csv"), str(out)], stderr=subprocess.PIPE, text=True
    )
    while not (beside := out.with_name("w.jsonl.partial")).exists() or not beside.stat().st_size:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "nothing was written" in err
    assert "Traceback" not in err
    assert list((tmp_path / "out").iterdir()) == []


def test_turns_are_a_choice_of_some_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace, out = tmp_path / "t.jsonl", tmp_path / "o.jsonl"
    rows = [
        {"session_id": "a", "timestamp": 0, "input_length": 100, "output_length": 10},
        {"session_id": "a", "delay": 1000, "input_length": 20, "output_length": 10},
    ]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lengths = {}
    for turns in ("delta", "cumulative"):
        assert run(["convert", str(trace), str(out), "--to", "dynamo", "--turns", turns]) == 0
        lengths[turns] = [json.loads(line)["input_length"] for line in out.read_text().splitlines()]
    assert lengths == {"delta": [100, 20], "cumulative": [100, 130]}
    for to, said in (("mooncake", "mooncake has no choice"), ("dynamo:turns=delta", "says it already")):
        capsys.readouterr()
        assert run(["convert", str(trace), str(out), "--to", to, "--turns", "delta"]) == 2
        assert said in capsys.readouterr().err
