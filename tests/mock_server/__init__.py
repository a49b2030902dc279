"""A server of OpenAI's streaming API in C whose times are known, for measuring clients; ``mock.c`` says the rest."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groundswell.serve.control import Mock, started

__all__ = ["COMPILER", "NO_COMPILER", "Mock", "mock_server"]

COMPILER = shutil.which("cc") if sys.platform == "linux" else None
NO_COMPILER = "the mock server needs Linux and a C compiler called cc"


@functools.cache
def _compiled() -> tuple[Path, Any]:
    if COMPILER is None:
        raise FileNotFoundError(NO_COMPILER)
    folder = tempfile.TemporaryDirectory(prefix="mock_server_")
    binary = Path(folder.name) / "mock"
    subprocess.run([COMPILER, "-O2", "-Wall", "-Wextra", "-o", binary, Path(__file__).with_name("mock.c")], check=True)
    return binary, folder  # the folder goes when nothing names it any more


@contextmanager
def mock_server(ttft_s: float = 0.0, gap_s: float = 0.0, tokens: int = 0, *, marks: bool = False) -> Iterator[Mock]:
    """A mock that answers as :meth:`Mock.set` says, on a port of its own; FileNotFoundError without a compiler."""
    with started([str(_compiled()[0])]) as mock:
        mock.set(ttft_s, gap_s, tokens, marks=marks)
        yield mock
