"""The command line, as a user meets it: results, one-line errors, exit codes, nothing half-written."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from groundswell.cli import execute as run

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "groundswell.cli"]

CLIENTS = """\
[[client]]
name = "steady"
rate = 2.0
arrivals = "gamma:cv=2"
lengths = { input_tokens = "lognormal:mean=500,cv=1", output_tokens = "exponential:mean=100" }

[[client]]
name = "rare"
rate = 0.1
lengths = { input_tokens = "lognormal:mean=3000,cv=1", output_tokens = "exponential:mean=20" }
"""


@pytest.fixture
def clients(tmp_path: Path) -> Path:
    """A file of two clients."""
    path = tmp_path / "clients.toml"
    path.write_text(CLIENTS)
    return path


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must fail, and gives its one line on stderr."""
    return Refused(capsys)


class Refused:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, code: int) -> str:
        assert run([str(a) for a in arguments]) == code
        shown = self.capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("groundswell: ")
        assert shown.err.count("\n") == 1, shown.err
        return shown.err


def good(*arguments: object) -> None:
    assert run([str(a) for a in arguments]) == 0


# What is asked for cannot be meant: exit code 2, and nothing written.


def test_a_source_that_is_not_there_names_the_populations_there_are(refused: Refused, tmp_path: Path) -> None:
    said = refused("generate", "chat-lrage", "-o", tmp_path / "w.parquet", code=2)
    assert "chat-lrage" in said
    assert "chat-large" in said


def test_a_missing_folder_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "no-such" in refused("pool", "show", tmp_path / "no-such", code=2)


def test_a_folder_of_another_shape_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a pool")
    assert str(tmp_path) in refused("pool", "show", tmp_path, code=2)


@pytest.mark.parametrize(
    "rate", ["-5", "nan", "0", "inf", "x-1", "x0", "xnan", "max:-3", "max:0", "fast", "no-such.csv"]
)
def test_a_rate_that_cannot_be_is_refused(rate: str, refused: Refused, clients: Path, tmp_path: Path) -> None:
    output = tmp_path / "w.parquet"
    refused("generate", clients, "-o", output, "--rate", rate, code=2)
    assert not output.exists()


@pytest.mark.parametrize("duration", ["0", "-10m", "ten", "nan", "inf"])
def test_a_duration_that_cannot_be_is_refused(duration: str, refused: Refused, clients: Path, tmp_path: Path) -> None:
    refused("generate", clients, "-o", tmp_path / "w.parquet", "--duration", duration, code=2)


def test_an_unknown_option_is_refused_by_name(refused: Refused) -> None:
    assert "--sede" in refused("generate", "chat-small", "-o", "w.parquet", "--sede", "1", code=2)


def test_an_unknown_verb_is_refused_by_name(refused: Refused) -> None:
    assert "generat" in refused("generat", code=2)


def test_an_unknown_format_names_those_there_are(refused: Refused, clients: Path, tmp_path: Path) -> None:
    said = refused("generate", clients, "-o", tmp_path / "w.x", "--to", "xlsx", code=2)
    assert "xlsx" in said
    assert "parquet" in said


def test_an_unknown_ending_is_refused_before_any_work(refused: Refused, clients: Path, tmp_path: Path) -> None:
    assert "parquet" in refused("generate", clients, "-o", tmp_path / "w.xlsx", code=2)


@pytest.mark.parametrize("joint", ["copula", "rank:2", "rank:nan", "rank:"])
def test_an_unknown_dependence_is_refused(joint: str, refused: Refused, clients: Path, tmp_path: Path) -> None:
    refused("generate", clients, "-o", tmp_path / "w.parquet", "--joint", joint, code=2)


def test_a_seed_below_zero_is_refused(refused: Refused, clients: Path, tmp_path: Path) -> None:
    refused("generate", clients, "-o", tmp_path / "w.parquet", "--seed", "-1", code=2)


def test_more_clients_than_a_pool_has_are_refused(refused: Refused, clients: Path, tmp_path: Path) -> None:
    assert "3 of 2" in refused("generate", clients, "-o", tmp_path / "w.parquet", "--clients", "3", code=2)


@pytest.mark.parametrize(
    "wish", [["--span", "2d:1d"], ["--span", "20d:21d"], ["--cv", "100:200"], ["--client", "nobody"]]
)
def test_a_filter_that_leaves_nothing_is_refused(
    wish: list[str], refused: Refused, clients: Path, tmp_path: Path
) -> None:
    output = tmp_path / "p.pool"
    refused("pool", "filter", clients, "-o", output, *wish, code=2)
    assert not output.exists()


@pytest.mark.parametrize("wish", [["--rate", "1e30"], ["--start", "1e300"], ["--rate", "x1e300"]])
def test_more_than_can_be_is_refused_at_once(wish: list[str], refused: Refused, clients: Path, tmp_path: Path) -> None:
    refused("generate", clients, "-o", tmp_path / "w.parquet", *wish, code=2)


def test_more_clients_than_memory_holds_are_refused(refused: Refused, tmp_path: Path) -> None:
    said = refused("generate", "chat-small", "-o", tmp_path / "w.parquet", "--clients", 10**9, code=2)
    assert "of memory" in said
    assert "of memory" in refused("population", "sample", "chat-small", "-o", "p.pool", "--clients", 10**9, code=2)


def test_the_source_is_not_written_over(refused: Refused, clients: Path, tmp_path: Path) -> None:
    pool = tmp_path / "p.pool"
    good("pool", "import", clients, "-o", pool)
    refused.capsys.readouterr()
    before = pool.read_bytes()
    assert str(pool) in refused("generate", pool, "-o", pool, "--to", "csv", code=2)
    assert pool.read_bytes() == before


def test_a_law_is_fitted_into_a_toml_file_of_a_folder_that_is_there(refused: Refused, tmp_path: Path) -> None:
    assert ".toml" in refused("population", "fit", "chat-small", "-o", tmp_path / "x.txt", code=2)
    assert "no folder" in refused("population", "fit", "chat-small", "-o", tmp_path / "no" / "x.toml", code=2)


# A file is broken or cannot be written: exit code 1.


def test_a_name_too_long_is_named(refused: Refused, clients: Path, tmp_path: Path) -> None:
    assert "too long" in refused("generate", clients, "-o", tmp_path / f"{'x' * 250}.csv", code=1)


def test_toml_that_is_too_deep_is_named(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("a=" + "[" * 5000)
    assert str(path) in refused("generate", path, "-o", tmp_path / "w.parquet", code=1)


def test_a_broken_clients_file_is_named(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[[client]\nname=")
    assert "c.toml" in refused("generate", path, "-o", tmp_path / "w.parquet", code=1)


def test_a_rate_curve_that_is_broken_is_named_with_its_line(refused: Refused, clients: Path, tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    curve.write_text("time_s,rate_per_s\n0,5\n60,many\n")
    assert f"{curve}:3" in refused("generate", clients, "-o", tmp_path / "w.parquet", "--rate", curve, code=1)


def test_a_rate_curve_of_one_endless_line_is_named(refused: Refused, clients: Path, tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    curve.write_text("0," + "1" * 200_000)
    assert str(curve) in refused("generate", clients, "-o", tmp_path / "w.parquet", "--rate", curve, code=1)


def test_an_output_folder_that_is_not_there_is_named(refused: Refused, clients: Path, tmp_path: Path) -> None:
    folder = tmp_path / "no"
    assert str(folder) in refused("generate", clients, "-o", folder / "w.parquet", code=2)
    assert str(folder) in refused("pool", "import", clients, "-o", folder / "p.pool", code=2)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_full_disk_leaves_nothing(ending: str, clients: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / f"w.{ending}"
    output.parent.mkdir()
    done = subprocess.run(
        [*COMMAND, "generate", clients, "-o", output, "--rate", "2000"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("groundswell: ")
    assert "Traceback" not in done.stderr
    assert list(output.parent.iterdir()) == []


def test_a_full_device_is_named(refused: Refused, clients: Path) -> None:
    assert "/dev/full" in refused("generate", clients, "-o", "/dev/full", "--to", "csv", "--rate", "50", code=1)


def test_ctrl_c_at_half_leaves_nothing(clients: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "w.csv"
    output.parent.mkdir()
    process = subprocess.Popen(
        [*COMMAND, "generate", clients, "-o", output, "--rate", "20000", "--duration", "14d"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    patience = time.monotonic() + 60
    while not any(p.stat().st_size for p in output.parent.iterdir()) and time.monotonic() < patience:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "nothing was written" in err
    assert "Traceback" not in err
    assert out == ""
    assert list(output.parent.iterdir()) == []


def test_ctrl_c_waits_for_the_block_in_hand_and_a_second_one_does_not() -> None:
    import polars as pl

    from groundswell.cli._stop import stopped_between
    from groundswell.table import REQUIRED, Workload

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    block = Workload(pl.DataFrame(schema=REQUIRED))
    done: list[Workload] = []

    def run_with(signals: int) -> None:
        with stopped_between([block] * 3) as blocks:
            for each in blocks:
                for _ in range(signals):
                    signal.raise_signal(signal.SIGINT)
                done.append(each)

    with pytest.raises(KeyboardInterrupt):
        run_with(1)
    assert len(done) == 1
    with pytest.raises(KeyboardInterrupt):
        run_with(2)
    assert len(done) == 1
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.mark.parametrize("verb", ["characterize", "compare", "fit", "generate", "convert", "pool import"])
def test_a_reader_who_goes_does_not_keep_files_from_being_written(verb: str, clients: Path, tmp_path: Path) -> None:
    trace, out, page = tmp_path / "t.csv", tmp_path / "out", tmp_path / "page.html"
    trace.write_text("arrival_s,input_tokens,output_tokens\n" + "".join(f"{i}.5,{i},7\n" for i in range(500)))
    asked: dict[str, list[str | Path]] = {
        "characterize": [trace, "--html", page],
        "compare": [trace, trace, "--html", page],
        "fit": [trace, "-o", out.with_suffix(".pool")],
        "generate": [clients, "-o", out.with_suffix(".csv"), "--duration", "10m"],
        "convert": [trace, out.with_suffix(".jsonl")],
        "pool import": [clients, "-o", out.with_suffix(".pool")],
    }
    read_end, write_end = os.pipe()
    os.close(read_end)  # as if the reader were gone before the first line
    done = subprocess.run(
        [*COMMAND, *verb.split(), *asked[verb]], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write_end)
    assert done.returncode == 141, done.stderr
    assert "groundswell:" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    [written] = [path for path in tmp_path.iterdir() if path.stem in ("out", "page")]
    assert written.stat().st_size > 500


def test_help_that_nobody_reads_is_no_fault() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([*COMMAND, "--help"], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["population", "list"], ["generate"]], ids=" ".join)
def test_where_stdout_is_closed_files_are_finished_and_nothing_is_said(
    words: list[str], clients: Path, tmp_path: Path
) -> None:
    output = tmp_path / "w.parquet"
    given = ["generate", str(clients), "-o", str(output)] if words == ["generate"] else words
    closed = ["sh", "-c", 'exec "$@" >&- <&-', "sh", *COMMAND, *given]
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")
    assert output.exists() == (words == ["generate"])


def test_where_stderr_is_closed_a_fault_still_has_its_code(tmp_path: Path) -> None:
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", *COMMAND, "pool", "show", str(tmp_path / "nothere")]
    done = subprocess.run(closed, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_data_that_nobody_reads_any_more_ends_the_work_quietly(ending: str, clients: Path) -> None:
    command = [*COMMAND, "generate", str(clients), "-o", "/dev/stdout", "--to", ending, "--rate", "2000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(3)) == 3
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")


# What works.


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_the_summary_does_not_run_into_data_on_stdout(kind: str, clients: Path, tmp_path: Path) -> None:
    place = tmp_path / "out.csv"
    command = [*COMMAND, "generate", str(clients), "-o", "/dev/stdout", "--to", "csv", "--duration", "10m"]
    with place.open("wb") as file:
        done = subprocess.run(
            command, stdout=subprocess.PIPE if kind == "pipe" else file, stderr=subprocess.PIPE, check=True
        )
    lines = (done.stdout if kind == "pipe" else place.read_bytes()).decode().splitlines()
    assert lines[0].startswith("arrival_s,")
    assert all(line.count(",") == 3 for line in lines)
    assert b"wrote /dev/stdout" in done.stderr


def test_a_clients_file_may_begin_with_a_byte_order_mark(clients: Path, tmp_path: Path) -> None:
    clients.write_bytes(b"\xef\xbb\xbf" + clients.read_bytes())
    good("generate", clients, "-o", tmp_path / "w.parquet", "--duration", "10m")


def test_a_run_ends_with_a_summary_a_person_can_read(
    clients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "w.parquet"
    good("generate", clients, "-o", output, "--rate", "50", "--duration", "10m")
    said = capsys.readouterr().out
    for word in ("requests", "rate", "busiest", "CV", "input", "output", "steady", str(output)):
        assert word in said
    assert output.stat().st_size > 10_000


def test_the_same_seed_gives_the_same_bytes_wherever_they_go(clients: Path, tmp_path: Path) -> None:
    first, again, other = tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "c.parquet"
    for path, more in ((first, []), (again, ["--workers", "1"]), (other, ["--seed", "8"])):
        good("generate", clients, "-o", path, "--rate", "20", "--seed", "7", *more)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_the_command_that_made_a_file_is_in_it(clients: Path, tmp_path: Path) -> None:
    from groundswell.table import Workload

    output = tmp_path / "w.parquet"
    good("generate", clients, "-o", output, "--rate", "20", "--seed", "7")
    assert Workload.read(output).metadata["command"] == f"groundswell generate {clients} --rate 20 --seed 7"


@pytest.mark.parametrize("kind", ["gamma", "poisson"])
def test_the_baseline_has_one_client(kind: str, clients: Path, tmp_path: Path) -> None:
    from groundswell.table import Workload

    output = tmp_path / "w.parquet"
    good("generate", clients, "-o", output, "--rate", "20", "--naive", kind)
    assert set(Workload.read(output).frame["client"].unique()) == {"naive"}


def test_a_pool_is_imported_filtered_and_shown(
    clients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool, part = tmp_path / "p.pool", tmp_path / "q.pool"
    good("pool", "import", clients, "-o", pool)
    good("pool", "filter", pool, "-o", part, "--mean-input", "1000:", "--scale", "2", "--span", "6h:12h")
    capsys.readouterr()
    good("pool", "show", part)
    said = capsys.readouterr().out
    assert "rare" in said
    assert "steady" not in said
    assert "0.2" in said
    good("pool", "cdf", part)
    assert "input_tokens" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_curves_of_a_pool_go_to_a_file(ending: str, clients: Path, tmp_path: Path) -> None:
    output = tmp_path / f"cdf.{ending}"
    good("pool", "cdf", clients, "-o", output)
    assert output.stat().st_size > 100


def test_a_repository_lists_its_pools(public_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good("pool", "show", public_data / "servegen")
    said = capsys.readouterr().out
    for name in ("m-large", "m-small", "deepseek-r1", "mm-image"):
        assert name in said


def test_generating_from_a_repository_names_its_pools(public_data: Path, refused: Refused, tmp_path: Path) -> None:
    assert "m-large" in refused("generate", public_data / "servegen", "-o", tmp_path / "w.parquet", code=2)


def test_the_populations_are_listed_shown_and_drawn_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good("population", "list")
    said = capsys.readouterr().out
    for name in ("chat-large", "chat-small", "reasoning", "vision"):
        assert name in said
    good("population", "show", "chat-small")
    law = tmp_path / "law.toml"
    law.write_text(capsys.readouterr().out)
    good("population", "sample", law, "-o", tmp_path / "p.pool", "--clients", "5", "--duration", "1h")
    assert "5 clients" in capsys.readouterr().out


def test_a_population_is_fitted_to_a_pool(tmp_path: Path, public_data: Path) -> None:
    law = tmp_path / "law.toml"
    good("population", "fit", public_data / "servegen/data/reason/deepseek-r1", "-o", law)
    good("generate", law, "-o", tmp_path / "w.csv", "--clients", "10", "--rate", "5")


def test_help_takes_little_work() -> None:
    what_verbs_load = [sys.executable, "-c", "import numba, polars, scipy.stats"]
    least = [min(_processor_s(command) for _ in range(2)) for command in ([*COMMAND, "--help"], what_verbs_load)]
    assert least[0] < 0.15 * least[1]  # 0.17 of 1.5 s, on whatever machine


def test_nothing_heavy_is_loaded_for_help_or_by_the_package() -> None:
    probe = (
        "import sys, groundswell, groundswell.cli as c; c.execute(['generate', '--help']); print(sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    for heavy in ("numpy", "numba", "polars", "scipy"):
        assert f"'{heavy}'" not in loaded


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == _writer("write_cli").page(), "say make docs"


def test_the_readme_shows_the_demo_and_what_it_says() -> None:
    readme = _writer("write_readme")
    _, command, shown, _ = readme.parts()
    assert f"$(BIN)/{command}\n" in (ROOT / "Makefile").read_text()
    # the last line has times in it
    assert readme.said(command).split("wrote")[0] == shown.split("wrote")[0], "say make docs"


def _writer(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _processor_s(command: list[str]) -> float:
    """Processor time, which other work on the machine does not lengthen."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
