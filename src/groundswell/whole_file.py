"""Files that appear under their name when they are whole, and leave nothing behind when they cannot be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from groundswell.errors import OutputError, ReaderGoneError, UsageError


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to, which takes ``path``'s name at the end, or is removed if anything is raised.

    A path that is there and no plain file is its own place: see :func:`is_stream`.
    """
    check_place(path)
    if is_stream(path):
        yield path
        return
    beside = path.with_name(path.name + ".partial")
    with faults_of(path):
        beside.unlink(missing_ok=True)  # left by a run that was killed; and a name too long shows itself here
    try:
        yield beside
        with faults_of(path):
            beside.replace(path)
    finally:
        # A second Ctrl-C can come at any line. It may cost the first attempt, not the cleaning up.
        try:
            beside.unlink(missing_ok=True)
        except KeyboardInterrupt:
            beside.unlink(missing_ok=True)
            raise


def check_place(path: Path) -> None:
    """Raises UsageError if no file can be at ``path``."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")


def check_apart(output: Path, *read: str | Path | None) -> None:
    """Raises UsageError if ``output`` is one of the files that are read, by whatever name; a text that names no file
    is passed over."""
    for path in read:
        if path is None or not output.is_file():
            continue
        name = os.path.expanduser(path)
        if os.path.isfile(name) and output.samefile(name):
            raise UsageError(f"{output}: is what this command reads; write to another file")


def check_folder(path: Path) -> None:
    """Raises UsageError if ``path`` can be no folder."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is no folder; name one")


def is_stream(path: Path) -> bool:
    """Whether ``path`` is a device or a pipe, or a name of one: ``/dev/stdout`` is, wherever it leads."""
    return path.exists() and (not path.is_file() or path.is_relative_to("/dev"))


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Failures to write as an :class:`OutputError` that names ``path``; a reader who has gone is one of his own."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as fault:
        reason = _reason(fault)
        kind = ReaderGoneError if os.strerror(errno.EPIPE) in reason else OutputError
        raise kind(f"{path}: cannot be written: {reason}") from None


def _reason(fault: Exception) -> str:
    """The operating system's words, without those that polars puts around them."""
    text = getattr(fault, "strerror", None) or " ".join(str(fault).split()) or type(fault).__name__
    return str(text).rsplit("IO error: ", 1)[-1].split(" (os error")[0]
