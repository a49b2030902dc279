"""What people are told on a terminal while they wait."""

from __future__ import annotations

import io
import sys

import numba
import pytest

from groundswell.progress import COMPILING, telling_of_compiling


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def compile_two() -> None:
    """Compile two kernels that no cache has."""
    for one in (1, 2):
        assert numba.njit(lambda x: x + one)(1) == 1 + one  # noqa: B023 (it is called at once)


def test_a_first_run_says_once_that_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with telling_of_compiling():
        assert terminal.getvalue() == ""
        compile_two()
    assert terminal.getvalue() == f"{COMPILING}\n"
    compile_two()
    assert terminal.getvalue() == f"{COMPILING}\n"


def test_what_is_no_terminal_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with telling_of_compiling():
        compile_two()
    assert stream.getvalue() == ""
