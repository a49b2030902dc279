"""The kernels are compiled by two processes; what each uses is what it compiles."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from groundswell import warm
from groundswell.cli import execute


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that stands in for the interpreter of the other process, while this one has nothing to compile."""
    script = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(warm, "_use_all_but_the_simulator", lambda: None)
    return script


def write(script: Path, line: str) -> None:
    script.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    script.chmod(0o755)


def test_the_simulator_is_compiled_by_another_process(
    python: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(python, f'sleep 0.2; echo "$@" > {tmp_path}/asked')
    assert execute(["warm"]) == 0
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "-m groundswell.warm\n"
    assert "\nready in " in capsys.readouterr().out


def test_a_process_that_fails_is_told_of(python: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(python, "exit 9")
    assert execute(["warm"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "groundswell: the simulator's kernels were not compiled: exit code 9\n"
    assert "ready" not in shown.out
