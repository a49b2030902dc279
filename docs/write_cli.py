"""Write docs/cli.md from the help of every verb."""

from __future__ import annotations

import sys
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from groundswell.cli import build

PAGE = Path(__file__).parent / "cli.md"
HEAD = """# The command line

Every verb's own help, written by `make docs`; a test holds this page to it. What a user can put right is one line on
stderr. Exit codes: 0 done; 1 a file is broken or cannot be written, a server cannot be used, or a run is INVALID;
2 the command asks for what cannot be; 130 Ctrl-C; 141 whoever reads stdout went before its end (`| head`): files are
finished all the same, and nothing is said.
An output appears under its name when it is whole; until then, and after a failure, there is what was there before.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for words in ([], *verbs()):
        shown = " ".join(["groundswell", *words])
        parts.append(f"\n## {shown}\n\n```text\n{help_of(words)}```\n")
    return "".join(parts)


def verbs() -> list[list[str]]:
    """Every verb, as the words one types, groups before their members."""
    found = []
    for name, command in sorted(getattr(get_command(build()), "commands").items()):  # noqa: B009
        found.append([name])
        found += [[name, inner] for inner in sorted(getattr(command, "commands", {}))]
    return found


def help_of(words: list[str]) -> str:
    """What ``groundswell WORDS --help`` prints on a terminal of 80 columns."""
    result = CliRunner().invoke(build(), [*words, "--help"], prog_name="groundswell", env={"COLUMNS": "80"})
    return "\n".join(line.rstrip() for line in result.output.splitlines()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
