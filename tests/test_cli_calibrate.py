"""``groundswell calibrate`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from calibrating import BASE, run_of
from groundswell.cli import execute as run
from groundswell.results import Results
from groundswell.simulate.calibrate import turned
from groundswell.simulate.cost import Profile
from kernel_tables import COST, LAYERS, write

ENGINE = ["--model", "qwen2.5-14b", "--gpu", "a100", "--tp", "2"]
TRUTH = turned(BASE, {"overhead_s": 1.5e-3, "scale": 0.12})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of 300 requests, on an engine that is slower than its embedded profile says."""
    path = tmp_path_factory.mktemp("run") / "results.parquet"
    run_of(TRUTH).write(path)
    return str(path)


def test_a_profile_is_written_that_has_what_was_found(
    results: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    assert run(["calibrate", results, *ENGINE, "-o", str(path)]) == 0
    said = capsys.readouterr()
    assert "fitted to the first 150 requests" in said.out
    assert "on the 150 requests that it did not see" in said.out
    assert f"wrote {path}" in said.out
    assert said.err == ""
    mine = Profile.read(path)
    assert mine.overhead_s == pytest.approx(TRUTH.overhead_s, abs=5e-4)
    assert mine.kernels.c0_s == pytest.approx(TRUTH.kernels.c0_s, rel=0.03)
    assert (mine.model, mine.gpu, mine.tp) == (BASE.model, BASE.gpu, 2)
    assert "fitted to 150 requests of a run" in mine.source


def test_what_it_prints_is_what_json_has(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", results, *ENGINE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert run(["calibrate", results, *ENGINE]) == 0
    lines = capsys.readouterr().out.splitlines()
    for words, name in (("before", "before"), ("after", "unseen"), ("after, on those it saw", "seen")):
        shares = [found[name][share] for share in ("mean_tpot", "mean_e2e", "mean_ttft", "p99_ttft")]
        told = "  ".join(f"{100 * share:+.1f} %" for share in shares)
        assert any(
            line.startswith(f"{words}  ") and " ".join(line.split()).endswith(" ".join(told.split())) for line in lines
        )
    host = next(line for line in lines if line.startswith("host, every step"))
    assert host.split()[-4:] == ["1.00", "ms", f"{1e3 * found['profile']['overhead_s']:.2f}", "ms"]


def test_a_profile_of_its_own_is_where_it_can_begin(results: str, tmp_path: Path) -> None:
    """Nothing is to be fitted where that profile is right; the engine is that of the options."""
    path, after = tmp_path / "right.toml", tmp_path / "after.toml"
    TRUTH.write(path)
    assert run(["calibrate", results, "--profile", str(path), "-o", str(after)]) == 0
    assert Profile.read(after).overhead_s == pytest.approx(TRUTH.overhead_s, abs=2e-4)
    assert Profile.read(after).kernels.c0_s == pytest.approx(TRUTH.kernels.c0_s, rel=0.01)


def test_failures_and_cached_prompts_are_told(results: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = Results.read(results).frame
    bad = pl.col("row") < 3
    path = tmp_path / "some.parquet"
    Results(
        frame.with_columns(
            error=pl.when(bad).then(pl.lit("timeout")).otherwise(pl.lit(None, pl.String)),
            cached_tokens=(pl.col("prompt_tokens") // 5).cast(pl.Int32),
        )
    ).write(path)
    assert run(["calibrate", str(path), *ENGINE]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "3 requests that failed are left out" in said
    assert "20 % of the prompts' tokens came from the server's prefix cache" in said


def test_a_run_of_several_instances_is_refused(
    results: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "three.parquet", tmp_path / "mine.toml"
    run_of_one = Results.read(results)
    Results(run_of_one.frame, {"run": {**run_of_one.run, "instances": 3}}).write(path)
    assert run(["calibrate", str(path), *ENGINE, "-o", str(output)]) == 2
    assert f"{path}: is a run on 3 instances; what steps cost is fitted to one" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"pools": [{"model": "qwen2.5-14b", "gpu": "a100"}]}, ""),
        (
            {"pools": [{"model": "qwen2.5-14b", "gpu": "h100"}]},
            "the run is on h100, and what is fitted to it is on a100",
        ),
        (
            {"pools": [{"model": "qwen2.5-7b", "gpu": "A100"}]},
            "the run is of qwen2.5-7b, and what is fitted to it is of",
        ),
        ({"model": "Qwen/Qwen2.5-7B"}, "the run is of Qwen/Qwen2.5-7B, and what is fitted to it is of qwen2.5-14b"),
        ({"model": "Qwen/Qwen2.5-14B", "pools": []}, ""),
        ({"model": "my-model", "pools": "none", "gpu": 3}, ""),
    ],
    ids=str,
)
def test_a_run_of_another_model_or_gpu_is_told(
    told: dict[str, object], said: str, results: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.parquet"
    Results(Results.read(results).frame, {"run": told}).write(path)
    assert run(["calibrate", str(path), *ENGINE]) == 0
    notes = " ".join(capsys.readouterr().err.split())
    assert said in notes
    assert bool(notes) == bool(said)


def test_tables_of_kernels_are_where_a_profile_can_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "kernels")
    path = tmp_path / "mine.toml"
    kernels = ["--kernels", str(tmp_path / "kernels"), "--model", "mine-9b", "--gpu", "mine"]
    assert run(["calibrate", *kernels, "--layers", str(LAYERS), "-o", str(path)]) == 0
    assert "the host's is a guess" in capsys.readouterr().out
    assert Profile.read(path).kernels.context_s == pytest.approx(COST.context_s, rel=0.02)
    assert run(["calibrate", *kernels, "-o", str(path)]) == 2
    assert "how many layers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "say which engine"),
        (["--model", "qwen2.5-14b", "--gpu", "b300"], 2, "there is no gpu 'b300'; those known are a100"),
        ([*ENGINE, "--seen", "1.5"], 2, "a share of the requests, above 0 and below 1, not to 1.5"),
        ([*ENGINE, "--kv-blocks", "100"], 2, "memory for 1,600 only"),
        ([*ENGINE, "--layers", "3"], 2, "--layers is for --kernels"),
        ([*ENGINE, "-o", "/nowhere/mine.toml"], 2, "there is no folder /nowhere"),
        ([*ENGINE, "--kernels", "here", "-o", "mine.toml"], 2, "can then be fitted to RESULTS"),
    ],
    ids=lambda words: " ".join(words[-2:]) if isinstance(words, list) else None,
)
def test_what_cannot_be_is_one_line(
    results: str, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["calibrate", results, *words]) == code
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert said in told


def test_without_a_run_it_says_what_it_wants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", *ENGINE]) == 2
    assert "groundswell calibrate RESULTS" in capsys.readouterr().err
    assert run(["calibrate", str(tmp_path / "none.parquet"), *ENGINE]) == 2
    assert "no such file" in capsys.readouterr().err
    short = tmp_path / "short.parquet"
    run_of(BASE, 8).write(short)
    assert run(["calibrate", str(short), *ENGINE]) == 1
    assert "8 requests ended well: a calibration needs 10 or more" in capsys.readouterr().err
