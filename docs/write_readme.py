"""Run the README's one run and put what it says beneath the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "```console\n$ ", "```\n"


def parts() -> tuple[str, str, str, str]:
    """The README up to the command, the command, what is shown beneath it, and the rest."""
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    block, after = rest.split(END, 1)
    command, shown = block.split("\n", 1)
    return before, command, shown, after


def said(command: str) -> str:
    """What ``command`` prints, run in an empty folder that has a ``demo/``."""
    words = [sys.executable, "-m", "groundswell.cli", *command.split()[1:]]
    with TemporaryDirectory() as folder:
        os.mkdir(Path(folder) / "demo")
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    before, command, _, after = parts()
    README.write_text(f"{before}{BEGIN}{command}\n{said(command)}{END}{after}", encoding="utf-8")
    sys.stdout.write(f"wrote {README}\n")
