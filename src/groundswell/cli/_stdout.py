"""Printing for a reader who may go before the end, as ``head`` does: the work is done, and files are written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast


class Lasting:
    """A stream that outlasts its reader: what is printed once he has gone is lost, and ``alone`` says so."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.alone = False

    def write(self, text: str) -> int:
        """Write ``text``. Raises OSError where it cannot be written for another reason."""
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            self._lose()
            return len(text)

    def flush(self) -> None:
        """Hand on what is held back."""
        try:
            self.stream.flush()
        except BrokenPipeError:
            self._lose()

    def _lose(self) -> None:
        # What the stream still holds back goes nowhere, too; else the interpreter would try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        self.alone = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def lasting_stdout() -> Iterator[Lasting]:
    """Standard output as one that outlasts its reader. What the shell has closed (``>&-``) leads nowhere."""
    with open(os.devnull, "r+", encoding="utf-8") as nowhere:
        stream = Lasting(nowhere if _closed(sys.stdout) else sys.stdout)
        stream.alone = _closed(sys.stdout)
        given, errors = sys.stdin, nowhere if _closed(sys.stderr) else sys.stderr
        try:
            sys.stdin = nowhere if _closed(given) else given
            with redirect_stdout(cast(TextIO, stream)), redirect_stderr(errors):
                yield stream
        finally:
            sys.stdin = given


def _closed(stream: TextIO | None) -> bool:
    """Python has None for a stream that the shell has closed."""
    return stream is None
