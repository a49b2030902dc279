"""``groundswell simulate`` as a user types it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from groundswell import progress
from groundswell.cli import execute as run
from groundswell.errors import DataError, UsageError
from groundswell.results import Results
from groundswell.simulate import spec
from groundswell.simulate.cost import engine_of
from groundswell.simulate.failures import drawn_outages
from groundswell.simulate.fleet import simulate
from groundswell.simulate.fleet_file import read_fleet
from groundswell.simulate.parts import Fleet, Pool
from groundswell.simulate.spec import Stated
from groundswell.table import Workload

ENGINE = ["--model", "qwen2.5-14b", "--gpu", "a100", "--tp", "2"]
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "fleet.toml"


def asked(n: int = 400, rate_per_s: float = 8.0, first_s: float = 0.0) -> Workload:
    random = np.random.default_rng(1)
    arrival_s = first_s + np.cumsum(random.exponential(1 / rate_per_s, n))
    prompt = np.clip(random.lognormal(6, 1, n), 1, 8000).astype(np.int32)
    output = np.clip(random.lognormal(4, 1, n), 1, 1000).astype(np.int32)
    return Workload.from_columns(arrival_s, random.integers(0, 2, n).astype(np.uint32), ("a", "b"), prompt, output)


@pytest.fixture
def workload(tmp_path: Path) -> str:
    path = tmp_path / "workload.parquet"
    asked().write(path)
    return str(path)


@pytest.fixture
def simulated(workload: str, tmp_path: Path) -> Callable[..., Results]:
    """The results of the command with such options."""

    def of(*options: str) -> Results:
        path = tmp_path / "results.parquet"
        assert run(["simulate", workload, "-o", str(path), *options]) == 0
        return Results.read(path)

    return of


def test_the_command_gives_what_the_library_does(simulated: Callable[..., Results]) -> None:
    told = simulated(*ENGINE, "--instances", "3")
    mine = simulate(asked(), Fleet((Pool(engine_of("qwen2.5-14b", "a100", 2), 3),)))
    assert told.frame.equals(mine.frame.select(told.frame.columns))
    assert told.series == mine.series
    assert {key: told.run[key] for key in mine.run} == mine.run
    assert told.run["model"] == "qwen2.5-14b"
    assert told.run["fleet"] == "3 instances on 2 a100 each"
    assert told.run["router"] == "jsq"
    assert told.run["pools"][0]["most_running"] == 256


def test_what_came_of_it_is_told_and_judged_again(
    workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "results.parquet")
    assert run(["simulate", workload, "-o", path, *ENGINE, "--instances", "2", "--slo", "ttft:p90<5s"]) == 0
    said = capsys.readouterr().out
    assert f"wrote {path}: 400 requests" in said
    assert "MEETS ttft:p90<5s" in said
    assert "simulation · qwen2.5-14b · 2 instances on 2 a100 each" in said
    assert "until the first token" in said
    assert "0 preemptions" in said
    assert "server's own counter" not in said
    assert run(["judge", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    phases = found["phases"]
    assert list(phases) == ["queue", "prefill"]
    whole_s = sum(phase["mean"]["value"] for phase in phases.values())
    assert whole_s == pytest.approx(found["latencies"]["ttft"]["mean"]["value"])
    page = tmp_path / "page.html"
    assert run(["report", path, "-o", str(page)]) == 0
    text = page.read_text()
    for words in ("Before the first token", "KV cache in use", "running and waiting", "simulated on 2 instances"):
        assert words in text


def test_stages_before_an_engine_are_phases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = asked(300)
    images = pl.Series("image_tokens", [[500] * (i % 3) for i in range(300)], dtype=pl.List(pl.Int32))
    source, path = tmp_path / "w.parquet", str(tmp_path / "r.parquet")
    Workload(base.frame.with_columns(images)).write(source)
    stages = ["--stage", "download:request=20ms,item=50ms,parallel=0", "--stage", "encode:item=10ms,token=2e-5"]
    assert run(["simulate", str(source), "-o", path, *ENGINE, "--instances", "4", *stages]) == 0
    capsys.readouterr()
    assert run(["judge", path, "--json", "--warm-up", "0", "--cool-down", "0"]) == 0
    phases = json.loads(capsys.readouterr().out)["phases"]
    assert list(phases) == ["download", "encode", "queue", "prefill"]
    assert {phase["n"] for phase in phases.values()} == {200}
    # Half of those that have any have one image, the others two, and any number are downloaded at a time.
    assert phases["download"]["mean"]["value"] == pytest.approx(0.02 + 0.05 * 1.5)
    assert phases["encode"]["mean"]["value"] >= 1.5 * (0.01 + 500 * 2e-5) - 1e-9
    results = Results.read(path)
    ends_s = np.array(results.frame["stage_s"].to_list())
    assert np.all(np.diff(ends_s, axis=1) >= 0)
    np.testing.assert_allclose(ends_s[:, 1], results.floats("ready_s"))
    plain = ends_s[::3]
    np.testing.assert_array_equal(plain, results.floats("due_s")[::3, None] * np.ones((1, 2)))


def test_pools_for_prompts_and_for_replies(simulated: Callable[..., Results]) -> None:
    parts = ["--prefill-instances", "1", "--decode-instances", "2", "--transfer", "50ms", "--transfer-token", "1e-5"]
    told = simulated(*ENGINE, *parts)
    assert told.run["fleet"] == "1 prefill instance on 2 a100 + 2 decode instances on 2 a100 each"
    more = told.frame.filter(pl.col("asked_tokens") > 1)
    assert set(more["instance"].unique()) == {1, 2}
    rest_s = (more["done_s"] - more["first_token_s"]).to_numpy()
    least_s = 0.05 + 1e-5 * more["prompt_tokens"].to_numpy()
    assert np.all(rest_s > least_s)


def test_failures_by_chance_are_the_same_for_a_seed(simulated: Callable[..., Results]) -> None:
    chance = [*ENGINE, "--instances", "3", "--mtbf", "20s", "--mttr", "4s", "--retry", "100ms"]
    first, same, other = simulated(*chance), simulated(*chance), simulated(*chance, "--seed", "1")
    assert first.frame.equals(same.frame)
    assert not first.frame.equals(other.frame)
    assert min(first.series["instances"]) < 3
    steady = simulated(*ENGINE, "--instances", "3")
    assert min(steady.series["instances"]) == 3
    assert steady.run["instance_s"] == pytest.approx(3 * steady.run["end_s"])


def test_an_outage_moves_what_is_on_an_instance(simulated: Callable[..., Results]) -> None:
    told = simulated(*ENGINE, "--instances", "2", "--outage", "10s,0,20s", "--outage", "35s,1,5s")
    due_s, done_s, instance = told.floats("due_s"), told.floats("done_s"), told.floats("instance")
    assert set(instance[(due_s < 10) & (done_s > 10) & (done_s < 35)]) == {1.0}
    assert set(instance[(due_s > 10) & (due_s < 29) & (done_s < 35)]) == {1.0}
    assert set(instance[(due_s > 36) & (due_s < 39)]) == {0.0}


def test_a_scaler_begins_with_few(simulated: Callable[..., Results]) -> None:
    scaled = ["--scaler", "reactive:target=4,every_s=2", "--startup", "5s", "--least-instances", "2"]
    told = simulated(*ENGINE, "--instances", "6", *scaled, "--first-instances", "2")
    instances = told.series["instances"]
    assert instances[0] == 2
    assert max(instances) > 2
    assert told.run["instance_s"] < 6 * told.run["end_s"]


def test_a_workload_that_begins_late_is_not_waited_for(tmp_path: Path) -> None:
    late, path = tmp_path / "late.parquet", tmp_path / "r.parquet"
    asked(first_s=3600.0).write(late)
    assert run(["simulate", str(late), "-o", str(path), *ENGINE]) == 0
    assert Results.read(path).floats("due_s")[0] == 0.0


def test_a_fleet_that_does_not_keep_up_is_called_overloaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "w.parquet"
    asked(6000, 100.0).write(source)
    assert run(["simulate", str(source), "-o", str(tmp_path / "r.parquet"), *ENGINE]) == 0
    assert "overloaded" in capsys.readouterr().err


def test_a_request_that_fits_nowhere_is_a_row_that_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = asked(50)
    long = base.frame.with_columns(input_tokens=pl.Series([10_000_000, *base.input_tokens[1:]], dtype=pl.Int32))
    source, path = tmp_path / "w.parquet", tmp_path / "r.parquet"
    Workload(long).write(source)
    assert run(["simulate", str(source), "-o", str(path), *ENGINE]) == 0
    assert Results.read(path).frame["error"].to_list() == ["too long"] + [None] * 49
    told = capsys.readouterr()
    assert "1 failed" in told.out
    assert "too long" in told.out


def test_where_all_fail_it_says_how_long_a_request_may_be(
    workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.parquet"
    assert run(["simulate", workload, "-o", str(path), *ENGINE, "--kv-blocks", "1", "--block-size", "2"]) == 0
    assert Results.read(path).frame["error"].to_list() == ["too long"] * 400
    said = " ".join(capsys.readouterr().err.split())
    assert said == (
        "note: 400 of 400 requests failed as too long: an instance has memory for 2 tokens of a prompt and its reply"
    )


def test_what_did_not_run_is_no_reason_to_doubt_step_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Step times are known up to 32,768 tokens; the request of 40,000 has no room, that of 35,000 where there is."""
    base = asked(50)
    for longest, blocks, beyond in ((40_000, 2_200, False), (35_000, 2_200, True)):
        long = base.frame.with_columns(input_tokens=pl.Series([longest, *base.input_tokens[1:]], dtype=pl.Int32))
        source = tmp_path / "w.parquet"
        Workload(long).write(source)
        assert run(["simulate", str(source), "-o", str(tmp_path / "r"), *ENGINE, "--kv-blocks", str(blocks)]) == 0
        said = capsys.readouterr().err
        assert ("are guesses" in " ".join(said.split())) == beyond
        assert ("failed as too long" in " ".join(said.split())) != beyond


def test_stages_that_nobody_goes_through_are_told(
    workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = ["--stage", "fetch:item=1s", "--stage", "encode:item=1s"]
    assert run(["simulate", workload, "-o", str(tmp_path / "r"), *ENGINE, *stages]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said == "note: no request has images, audio or video, so none goes through fetch, encode"


def test_more_than_memory_holds_is_called_that(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> Results:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(spec, "simulate", full)
    assert run(["simulate", workload, "-o", str(tmp_path / "r"), *ENGINE, "--kv-blocks", "99", "--instances", "3"]) == 2
    said = capsys.readouterr().err
    assert "out of memory: 3 instances of 99 blocks of keys and values and 256 requests at a time take more" in said
    assert "written" not in said


# Fleets in files


def test_the_example_is_a_fleet_of_two_kinds(simulated: Callable[..., Results]) -> None:
    told = simulated("--fleet", str(EXAMPLE), "--router", "round_robin", "--instances", "1")
    assert told.run["fleet"] == "4 instances on 2 a100 each + 2 instances on 1 h100 each"
    assert told.run["router"] == "round_robin"
    assert told.run["pools"][1]["most_running"] == 128
    stated = Stated.of(read_fleet(EXAMPLE))
    assert stated.fleet.view_s == 0.1
    assert stated.failures == (6 * 3600.0, 300.0)


POOL = '[[pool]]\nmodel = "qwen2.5-14b"\ngpu = "a100"\ntp = 2\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('routr = "x"', "f.toml:1: unknown key 'routr'; a fleet has pool, router"),
        (POOL + "tpp = 2", "f.toml:5: unknown key 'tpp'; [[pool]] has model, gpu"),
        (POOL + POOL + 'instances = "2"', "f.toml:9: instances: expected int, got str"),
        (POOL + "instances = 0", "f.toml:5: instances: expected int >= 1"),
        (POOL + "instances = 100001", "f.toml:5: instances: expected int <= 100000"),
        (POOL + "instances = 99999999999999999999999", "f.toml:5: instances: expected int <= 100000"),
        (POOL + "num_gpu_blocks = 99999999999999", "f.toml:5: num_gpu_blocks: expected int <= 100000000"),
        (POOL + 'overhead = "1e300"', "f.toml:1: 1e300 is longer than 100 years"),
        (POOL + '[[stage]]\nname = "a"\n' * 2, "f.toml: there are 2 stages 'a'"),
        (POOL + '[[stage]]\nname = "prefill"', "f.toml: a stage cannot be called 'prefill'"),
        (POOL + '[scaling]\nscaler = "reactive"\nfirst = 2', "f.toml: 2 instances cannot run at first"),
        (POOL + 'role = "both"', "f.toml:5: role: invalid enum value 'both'; it can be all, prefill, decode"),
        (POOL + "num_gpu_blocks = 0", "f.toml:5: num_gpu_blocks: expected int >= 1"),
        (POOL + '[[pool]]\nmodel = "x"\ngpu = "a100"', "f.toml:5: there is no model 'x'; those known are"),
        ('[[pool]]\nmodel = "x"', "f.toml:1: say which model on which GPU (model and gpu)"),
        (POOL + 'profile = "mine.toml"', "f.toml:1: a profile says what model, gpu, tp and pp are"),
        ("pool = 3", "f.toml: pool is a list"),
        ("transfer = 3", "f.toml: transfer is a table"),
        (POOL + '[[stage]]\nitem = "1s"', "f.toml:5: is missing: name"),
        (POOL + '[[stage]]\nname = "x"\nitem = "soon"', "f.toml:5: 'soon' is no duration"),
        (POOL + '[[outage]]\nat = 1\ninstance = 0\nfor = 0', "f.toml:5: an outage begins at a time of 0 or more"),
        (POOL + '[[outage]]\nat = 1\ninstance = 1\nfor = 1', "f.toml: there is no instance 1 that could fail"),
        (POOL + '[scaling]\nscaler = "nope"', "f.toml:5: scaling has no 'nope'"),
        (POOL + 'block_size = 3\n' + POOL, "f.toml: the engines of a fleet must have blocks of the same number"),
        ('view = "5 parsecs"\n' + POOL, "f.toml: '5 parsecs' is no duration"),
        (POOL + '[failures]\nmtbf = "0s"\nmttr = "1s"', "f.toml: the mean time between failures must be above 0"),
        (POOL + "[transfer]\nrequest = 1", "f.toml: a transfer is between pools"),
        ("", "f.toml: a fleet needs a pool of instances"),
        ("x = [", "f.toml: not TOML"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_mean_is_told_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_fleet(path)
    assert str(caught.value).startswith(f"{tmp_path}/{words}")


# What cannot be meant


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "say which engine: --model and --gpu"),
        (["--model", "nope", "--gpu", "a100"], "there is no model 'nope'; those known are llama-2-7b"),
        (["--model", "qwen2.5-14b", "--gpu", "nope"], "there is no gpu 'nope'; those known are a100"),
        ([*ENGINE, "--fleet", "FLEET"], "leave out the options of engines"),
        (["--fleet", "FLEET", "--instances", "3"], "leave out the options of engines"),
        ([*ENGINE, "--outage", "5,9,1"], "there is no instance 9 that could fail: the 1 are counted from 0"),
        ([*ENGINE, "--outage", "5,x,1"], "--outage 5,x,1: say AT,INSTANCE,FOR"),
        ([*ENGINE, "--outage", "1,0,9", "--outage", "5,0,9"], "instance 0 fails at 5 s, while it is down until 10 s"),
        ([*ENGINE, "--outage", "1,0,9", "--mtbf", "1h", "--mttr", "1m"], "(outage) or by chance (failures), not both"),
        ([*ENGINE, "--stage", "encode"], "--stage encode: say NAME:item=TIME"),
        (
            [*ENGINE, "--stage", "encode:itm=3s"],
            "a stage takes request, item, token, parallel, each once, not 'itm=3s'",
        ),
        ([*ENGINE, "--stage", "encode:item=1s,parallel=x"], "parallel is a whole number of 0 or more, not 'x'"),
        ([*ENGINE, "--prefill-instances", "3"], "--prefill-instances and --decode-instances go together"),
        ([*ENGINE, "--mtbf", "3h"], "--mtbf and --mttr go together"),
        ([*ENGINE, "--router", "nope"], "routing has no 'nope'; it has dual_pool, jsq"),
        ([*ENGINE, "--scaler", "nope"], "scaling has no 'nope'"),
        ([*ENGINE, "--startup", "3m"], "are for a --scaler"),
        ([*ENGINE, "--instances", "9" * 23], "'--instances': Input should be less than or equal to 100000"),
        ([*ENGINE, "--kv-blocks", "9" * 14], "'--kv-blocks': Input should be less than or equal to 100000000"),
        ([*ENGINE, "--tries", "9" * 23], "'--tries': Input should be less than or equal to 1000000000"),
        ([*ENGINE, "--overhead", "1e300"], "1e300 is longer than 100 years; times of a fleet are at most that"),
        ([*ENGINE, "--overhead", "2d"], "a profile's overhead_s is a time of one step, at most a day, not 172800 s"),
        ([*ENGINE, "--view", "1e300"], "1e300 is longer than 100 years"),
        ([*ENGINE, "--stage", "a:item=1s,parallel=9999999999"], "parallel is at most 1,000,000,000, or 0"),
        ([*ENGINE, "--stage", "queue:item=1s"], "a stage cannot be called 'queue', as that is what results call"),
        ([*ENGINE, "--stage", "a:item=1s", "--stage", "a:item=2s"], "there are 2 stages 'a': each has a name of its"),
        ([*ENGINE, "--retry", "1s"], "--tries and --retry are for instances that fail: --outage, or --mtbf and"),
        ([*ENGINE, "--tries", "1"], "--tries and --retry are for instances that fail"),
        (
            [*ENGINE, "--instances", "2", "--scaler", "reactive", "--first-instances", "3"],
            "3 instances cannot run at first: the fleet has 2 instances",
        ),
        (
            [*ENGINE, "--scaler", "reactive", "--least-instances", "2"],
            "2 instances cannot run at least: the fleet has 1 instance",
        ),
        (
            [*ENGINE, "--block-size", "1000000"],
            "not one block of 1,000,000 tokens (block_size) fits beside qwen2.5-14b",
        ),
        ([*ENGINE, "--policy", "nope"], "an engine has no policy 'nope'; it has fcfs, shortest, longest, priority"),
        ([*ENGINE, "--priority", "a=1"], "clients have priorities, and no engine heeds them"),
        ([*ENGINE, "--policy", "priority", "--priority", "a"], "--priority a: say CLIENT=N with a whole number"),
        ([*ENGINE, "--policy", "priority", "--priority", "x=-1"], "priority for client 'x', and the workload has none"),
        ([*ENGINE, "--view", "soon"], "'soon' is no duration"),
        ([*ENGINE, "--transfer", "3ms"], "a transfer is between pools"),
        ([*ENGINE, "--slo", "ttft<2"], "has not the form METRIC:STATISTIC<BOUND"),
        ([*ENGINE, "--serve", "127.0.0.1:0"], "--serve answers what is sent to it: it takes no workload"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    workload: str, options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.parquet"
    given = [str(EXAMPLE) if option == "FLEET" else option for option in options]
    assert run(["simulate", workload, "-o", str(path), *given]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not path.exists()


@pytest.mark.parametrize(
    ("place", "options", "words"),
    [
        ("8000", [], "--serve 8000: say HOST:PORT"),
        ("localhost:x", [], "say HOST:PORT"),
        ("localhost:0", ["--mtbf", "1h", "--mttr", "1m"], "has no failures"),
        ("localhost:0", ["--outage", "1,0,1"], "neither outages nor an autoscaler"),
        ("localhost:0", ["--scaler", "reactive"], "neither outages nor an autoscaler"),
    ],
)
def test_a_server_needs_a_place_and_a_fleet_that_stays(
    place: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", "--serve", place, *ENGINE, *options]) == 2
    assert words in capsys.readouterr().err


def test_one_request_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.parquet"
    asked(1).write(path)
    assert run(["simulate", str(path), "-o", str(tmp_path / "results.parquet"), *ENGINE]) == 0
    said = capsys.readouterr().out
    assert "results.parquet: 1 request\n" in said
    assert "1 requests" not in said


def test_the_text_for_compare_is_of_two_runs_in_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    """``compare`` is of workloads, and refuses results."""
    assert run(["simulate", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "report A B says how far apart two runs are" in said
    assert "compare" not in said


def test_without_a_workload_it_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", *ENGINE]) == 2
    assert "groundswell simulate WORKLOAD -o results.parquet" in capsys.readouterr().err


# As a process


def command(*words: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-m", "groundswell.cli", *words], stdout=pipe, stderr=pipe, text=True)


def test_ctrl_c_leaves_nothing(
    workload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def counting(*_: object) -> Iterator[Callable[[int], None]]:
        yield lambda done: signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(progress, "counting", counting)
    path = tmp_path / "results.parquet"
    assert run(["simulate", workload, "-o", str(path), *ENGINE]) == 130
    assert f"interrupted; nothing was written to {path}" in capsys.readouterr().err
    assert sorted(place.name for place in tmp_path.iterdir()) == ["workload.parquet"]


def test_a_fleet_answers_until_ctrl_c() -> None:
    with command("simulate", "--serve", "127.0.0.1:0", *ENGINE, "--instances", "2") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        body: dict[str, Any] = {"messages": [{"role": "user", "content": "a b c"}], "max_tokens": 5}
        request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            usage = json.loads(reply.read())["usage"]
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert usage == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    assert process.returncode == 0
    assert "2 instances on 2 a100 each, router jsq, as qwen2.5-14b" in said
    assert "\n1 request came" in said


# Failures by chance


def test_times_between_failures_and_to_repair_have_the_means_that_are_asked_for() -> None:
    """Of 4,000 instances over 50 mean cycles; the means within five standard errors."""
    outages = drawn_outages(4000, 100.0, 20.0, 6000.0, seed=1)
    at_s, instance, down_s = (np.array([getattr(o, name) for o in outages]) for name in ("at_s", "instance", "down_s"))
    assert abs(down_s.mean() - 20.0) < 5 * 20.0 / np.sqrt(down_s.size)
    who, place = np.unique(instance, return_index=True)
    assert who.size == 4000
    assert abs(at_s[place].mean() - 100.0) < 5 * 100.0 / np.sqrt(4000)
    assert at_s.max() < 6000.0
    # An alternating renewal process that begins up: P(down at t) = λ/(λ + μ) · (1 - exp(-(λ + μ)t)); its time down has
    # the asymptotic variance T · 2 · (100 · 20)² / 120³ (Takács 1959).
    down = np.minimum(down_s, 6000.0 - at_s).sum() / (4000 * 6000.0)
    expected = 20 / 120 * (1 - 1 / (0.06 * 6000))
    assert down == pytest.approx(expected, abs=5 * np.sqrt(6000 * 2 * 2000**2 / 120**3 / 4000) / 6000)


def test_one_more_instance_does_not_change_when_the_others_fail() -> None:
    few, more = (drawn_outages(n, 100.0, 20.0, 3000.0, seed=2) for n in (3, 4))
    assert few == tuple(outage for outage in more if outage.instance < 3)
    with pytest.raises(UsageError, match="to repair must be above 0"):
        drawn_outages(1, 100.0, 0.0, 10.0, 0)
