"""The command line: one file per verb or group of verbs, found in this folder.

A verb parses its arguments, calls the library, and prints. What a user can put right is one line on stderr and an exit
code: 2 for what was asked, 1 for a file that is broken or cannot be written, 130 for Ctrl-C. Whoever reads stdout may
go before its end: files are finished, and the code is 141, with nothing said.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from groundswell._version import __version__
from groundswell.cli._stdout import lasting_stdout
from groundswell.errors import READER_GONE, GroundswellError, ReaderGoneError
from groundswell.family import part_names

INTERRUPTED = 130


def _version(asked: bool) -> None:
    if asked:
        print(f"groundswell {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A workload lab for LLM serving: model traffic client by client, and generate it at any size."""


def build() -> typer.Typer:
    """The command line of the verbs in this folder: a file ``x.py`` holds a function ``x``, or a group, ``app``."""
    app = typer.Typer(name="groundswell", callback=_root, add_completion=False, rich_markup_mode=None)
    for name in part_names(Path(__file__).parent):
        module = import_module(f"{__name__}.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(execute(arguments))


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. No argument at all asks for help."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with lasting_stdout() as stdout:
        code = _run(given or ["--help"])
        return READER_GONE if stdout.alone and code == 0 else code


def _run(given: list[str]) -> int:
    try:
        code = build()(args=given, prog_name="groundswell", standalone_mode=False)
        sys.stdout.flush()
    except ReaderGoneError as fault:
        return fault.exit_code
    except GroundswellError as fault:
        return _fail(str(fault), fault.exit_code)
    except TyperException as fault:
        return _fail(_usage(fault), fault.exit_code)
    except OSError as fault:
        if fault.filename is not None:
            raise  # the library tells of files
        if fault.errno == errno.ENOMEM:
            return _fail("out of memory", 1)
        # Our output cannot be written: its disk is full. The interpreter must not try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail(f"cannot be written: {fault.strerror}", 1)
    except MemoryError:
        return _fail("out of memory", 1)
    if code == INTERRUPTED:
        return _fail("interrupted", INTERRUPTED)
    return int(code or 0)


def _usage(fault: TyperException) -> str:
    """A usage error in one line, with the help that would have told."""
    context = getattr(fault, "ctx", None)
    text = fault.format_message().rstrip(".")
    return f"{text}; see '{context.command_path} --help'" if context else text


def _fail(text: str, code: int) -> int:
    print("groundswell:", " ".join(text.split("\n")), file=sys.stderr)
    return code
