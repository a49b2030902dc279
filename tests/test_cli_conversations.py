"""Conversations at the command line: what populations, pools and clients' files of them say and make."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from groundswell.cli import execute as run

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "conversations.toml"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == 0
    return capsys.readouterr().out


def test_the_population_of_agents_is_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "agent " in said(capsys, "population", "list")
    text = said(capsys, "population", "show", "agent")
    assert "[agents]" in text
    assert "tool_s = [0.25, 3.02, 600.0]" in text
    assert "[conversations]" in said(capsys, "population", "show", "reasoning")


def test_a_changed_population_of_agents_is_generated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "population", "show", "agent").replace(
        "most_context_tokens = 262144", "most_context_tokens = 150000"
    )
    (tmp_path / "mine.toml").write_text(text.replace("240000.0]", "120000.0]"), "utf-8")
    output = tmp_path / "agents.parquet"
    assert run(["generate", str(tmp_path / "mine.toml"), "--clients", "5", "--rate", "2", "-o", str(output)]) == 0
    frame = pl.read_parquet(output)
    assert frame["turn"].max() > 5  # type: ignore[operator]
    assert frame["input_tokens"].max() <= 150_000  # type: ignore[operator]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("agent", "conversations  all clients; 20 k kept whole, 3"),
        ("reasoning", "conversations  all clients; 1.07 requests each"),
        (str(EXAMPLE), "conversations  21 of 29 clients, 76.0% of requests; 2.26 requests each"),
    ],
)
def test_a_pool_says_who_converses(source: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert line in said(capsys, "pool", "show", source)


def test_a_pool_in_which_nobody_does_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "conversations" not in said(capsys, "pool", "show", "chat-small")


def test_fitting_a_population_says_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "law.toml"
    assert run(["population", "fit", str(EXAMPLE), "-o", str(output)]) == 0
    heard = capsys.readouterr()
    assert "shared beginnings of prompts are left out" in heard.err
    assert "[conversations]" in output.read_text("utf-8")
