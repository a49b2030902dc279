"""Conversations and shared prefixes of a user's own clients, as laws in Python and in a TOML file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st
from scipy import stats

from groundswell.clients.client import Client, pool_of
from groundswell.clients.client_file import clients_of, read_clients
from groundswell.clients.conversation import conversation, in_ms, prefix, yes_or_no
from groundswell.errors import DataError, GroundswellError, UsageError
from groundswell.lengths import LENGTHS, atoms, length_of

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "conversations.toml"
PLAIN: dict[str, Any] = {"input_tokens": "lognormal:mean=800,cv=1", "output_tokens": 200}
TALK: dict[str, Any] = {"turns": "exponential:mean=3", "think_ms": 1500, "new_tokens": 60}


def table(pool: Any, field: str) -> tuple[Any, Any]:
    values, probabilities = pool.lengths.table(int(pool.table[0, 0, pool.fields.index(field)]))
    return values, probabilities


def test_a_client_states_its_conversations_as_fields() -> None:
    pool = pool_of([Client("chat", 2.0, "poisson", {**PLAIN, **TALK, "kept_ratio": 0.5, "regenerate": 0.05})])
    assert pool.converses.tolist() == [True]
    assert pool.rate_per_s[0, 0] == 2.0  # of requests
    assert pool.mean_length("turns")[0] == pytest.approx(3, rel=1e-3)
    assert [pool.mean_length(field)[0] for field in ("think_ms", "new_tokens", "kept_ratio")] == [1500, 60, 0.5]
    values, probabilities = table(pool, "regenerate")
    assert values.tolist() == [0, 1]
    assert probabilities == pytest.approx([0.95, 0.05])


def test_shorthands_say_the_same_in_seconds_and_shares() -> None:
    said = Client("a", 1, "poisson", PLAIN | conversation("exponential:mean=3", 1.5, 60) | prefix(800, 3, 1.2, 0.5))
    fields = Client(
        "a", 1, "poisson", {**PLAIN, **TALK, "shared_tokens": "templates:count=3,tokens=800,popularity=1.2,share=0.5"}
    )
    assert said == fields


@pytest.mark.parametrize(("given", "no", "yes"), [(0.25, 0.75, 0.25), ("0.05", 0.95, 0.05)])
def test_a_probability_is_a_table_of_no_and_yes(given: Any, no: float, yes: float) -> None:
    values, probabilities = atoms(length_of(yes_or_no(given)))
    assert values.tolist() == [0, 1]
    assert probabilities == pytest.approx([no, yes])
    assert atoms(length_of(yes_or_no(1)))[0].tolist() == [1]
    assert atoms(length_of(yes_or_no(0)))[0].tolist() == [0]


@pytest.mark.parametrize(
    ("seconds", "law_s"),
    [
        ("lognormal:mean=0.3,cv=2", stats.lognorm(np.sqrt(np.log(5)), scale=0.3 / np.sqrt(5))),
        ("lognormal:mean=200,cv=1.5", stats.lognorm(np.sqrt(np.log(3.25)), scale=200 / np.sqrt(3.25))),
        ("exponential:mean=90", stats.expon(scale=90)),
        ("pareto:alpha=3,least=2", stats.pareto(3, scale=2)),
        ("pareto:alpha=4", stats.pareto(4)),
        ("truncated:of=(exponential:mean=90),most=600", stats.truncexpon(600 / 90, scale=90)),
    ],
)
def test_a_law_of_seconds_is_that_law_in_milliseconds(seconds: str, law_s: Any) -> None:
    at_s = law_s.ppf([0.05, 0.3, 0.5, 0.9, 0.99])
    found = in_ms(seconds).cdf(np.floor(1000 * at_s))
    assert found == pytest.approx(law_s.cdf(at_s), abs=0.004)  # a millisecond of rounding, where the law is narrowest
    assert in_ms(LENGTHS.build(seconds) if "0.3" not in seconds else seconds) == in_ms(seconds)


def test_pauses_can_be_listed_in_seconds_in_text_and_in_a_file(tmp_path: Path) -> None:
    assert atoms(in_ms("empirical:values=(0.2,3,0.0004),weights=(1,2,1)"))[0].tolist() == [0, 200, 3000]
    (tmp_path / "pauses.csv").write_text("0.25,1\n40,3\n")
    values, probabilities = atoms(in_ms(f"empirical:file={tmp_path}/pauses.csv"))
    assert values.tolist() == [250, 40_000]
    assert probabilities == pytest.approx([0.25, 0.75])
    assert atoms(in_ms("mixture:body=2,tail=(exponential:mean=9),weight=0.5"))[0].max() > 2000


@pytest.mark.parametrize(
    ("lengths", "told"),
    [
        ({"turns": 3}, "a client with turns needs think_ms too"),
        ({**TALK, "turns": 1.5}, "turns must be whole numbers between 1 and 32767, not 1.5"),
        ({**TALK, "turns": 0}, "turns must be whole numbers between 1"),
        ({**TALK, "turns": "lognormal:mean=4,cv=9"}, "bound a law"),
        ({**TALK, "regenerate": 2}, "regenerate must be a probability, or values of 0 and 1, not 2"),
        ({**TALK, "regenerate": "exponential:mean=2"}, "regenerate must be a probability"),
        ({**TALK, "kept_ratio": 1.2}, "kept_ratio must be numbers between 0 and 1"),
        ({**TALK, "think_ms": 0.5}, "think_ms must be whole numbers"),
        ({**TALK, "think_ms": -5}, "think_ms"),
        ({**TALK, "new_tokens": 0}, "new_tokens must be whole numbers between 1"),
        ({"regenerate": 0.5}, "give turns"),
        ({"shared_tokens": 2.5}, "shared_tokens must be whole numbers between 0"),
    ],
)
def test_conversations_that_cannot_be_are_told_of(lengths: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as fault:
        Client("chat", 1.0, "poisson", {**PLAIN, **lengths})
    assert told in str(fault.value)
    assert str(fault.value).startswith("client 'chat': ")
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    "seconds",
    ["zipf:exponent=1,most=9", "lognormal:mean=9000,cv=1", "soon", -1, 1e6, float("nan"), "exponential:mean=0"],
)
def test_pauses_that_cannot_be_are_told_of(seconds: Any) -> None:
    with pytest.raises(UsageError, match="think_s"):
        in_ms(seconds)


PIECES = [
    "lognormal:",
    "empirical:",
    "truncated:of=(",
    "mean=",
    "values=(",
    "cv=",
    "most=",
    "file=",
    "1e308",
    "-3",
    "0.2",
]
PIECES += [
    "templates:",
    "tokens=",
    "count=",
    ")",
    ",",
    "=",
    ":",
    "nan",
    "2",
    " ",
    "exponential:mean=90",
    "(",
    "body=",
    "é",
]


@settings(max_examples=300, deadline=None)
@given_(st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.floats() | st.integers())
def test_no_pause_whatever_makes_a_traceback(given: Any) -> None:
    try:
        law = in_ms(given)
    except GroundswellError as fault:
        said = str(fault)
        law = length_of(1)
    else:
        said = ""
    assert "\n" not in said
    assert (atoms(law)[0] >= 0).all()


# The file.

HEAD = '[[client]]\nname = "chat"\nrate = 2.0\nlengths = {input_tokens = 800, output_tokens = 200}\n'
GOOD = HEAD + (
    "[client.conversation]\nturns = 3\nthink_s = 1.5\nnew_tokens = 60\nregenerate = 0.05\n"
    "[client.prefix]\ncount = 3\ntokens = 400\nshare = 0.5\n"
)


def test_a_file_states_conversations_in_tables_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "clients.toml").write_text(GOOD)
    lengths: dict[str, Any] = {
        "input_tokens": 800,
        "output_tokens": 200,
        "turns": 3,
        "think_ms": 1500,
        "new_tokens": 60,
    }
    shared: dict[str, Any] = {"regenerate": 0.05, "shared_tokens": "templates:count=3,tokens=400,share=0.5"}
    assert clients_of(tmp_path / "clients.toml") == [Client("chat", 2.0, "poisson", {**lengths, **shared})]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            GOOD.replace("think_s = 1.5\n", ""),
            "conversation: 'think_s' is missing; it needs turns, think_s, new_tokens",
        ),
        (GOOD.replace("think_s", "think_ms"), "conversation has no key 'think_ms'; it has turns, think_s"),
        (GOOD.replace("tokens = 400\n", ""), "prefix: 'tokens' is missing"),
        (GOOD.replace("share = 0.5", "share = 1.5"), "prefix: templates: share must be a number"),
        (GOOD.replace("count = 3", 'count = "three"'), "prefix: templates: count must be a number"),
        (GOOD.replace("turns = 3", "turns = 1" + 400 * "0"), "turns is a number of 401 digits"),
        (GOOD.replace("rate = 2.0", "rate = 1" + 400 * "0"), "rate is a number of 401 digits"),
        (GOOD.replace("turns = 3", "turns = 0"), "turns must be whole numbers between 1"),
        (GOOD.replace("think_s = 1.5", 'think_s = "soon"'), "conversation: think_s"),
        (GOOD.replace("think_s = 1.5", 'think_s = "so\\u0007on"'), "control character"),
        (GOOD.replace("output_tokens = 200}", "output_tokens = 200, turns = 2}"), "turns is stated in lengths and in"),
        (HEAD + "conversation = 3\n", "conversation must be a table of turns"),
        (HEAD + 'prefix = "long"\n', "prefix must be a table of tokens"),
        (HEAD.replace("rate = 2.0\n", 'trace = "a.csv"\n') + "[client.conversation]\nturns = 3\n", "unknown key"),
    ],
)
def test_a_file_whose_conversations_cannot_be_says_where_and_why(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "clients.toml").write_text(text)
    with pytest.raises(DataError) as fault:
        clients_of(tmp_path / "clients.toml")
    assert told in str(fault.value)
    assert str(fault.value).startswith(f"{tmp_path}/clients.toml:1: client 'chat': ")
    assert "\n" not in str(fault.value)


def test_the_example_holds_a_chat_readers_of_documents_and_agents() -> None:
    pool = read_clients(EXAMPLE)
    assert len(pool) == 29
    chat, reader, agent = (pool.names.index(name) for name in ("chat", "reader-0", "agent-0"))
    assert pool.converses[[chat, reader, agent]].tolist() == [True, False, True]
    values, probabilities = pool.lengths.table(int(pool.table[chat, 0, pool.fields.index("shared_tokens")]))
    assert values.size == 6  # five beginnings, and none
    assert probabilities.max() == pytest.approx(0.37, abs=0.005)  # as its comment says
    assert pool.mean_length("turns")[chat] == pytest.approx(1.86)
    assert pool.mean_length("think_ms")[agent] == pytest.approx(0.9 * 4000 + 0.1 * 180_000, rel=0.02)


PAGE = (Path(__file__).resolve().parent.parent / "docs" / "conversations.md").read_text("utf-8")


def test_the_pages_client_is_the_same_in_a_file_and_in_python(tmp_path: Path) -> None:
    blocks = re.findall(r"```(toml|python)\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "page.toml").write_text(next(text for kind, text in blocks if kind == "toml"))
    stated = clients_of(tmp_path / "page.toml")[0]
    names: dict[str, Any] = {}
    exec(next(text for kind, text in blocks if kind == "python"), names)  # noqa: S102
    chat = names["chat"]
    assert isinstance(stated, Client)
    assert stated.lengths["shared_tokens"] == chat.lengths["shared_tokens"]
    assert stated.lengths["regenerate"] == chat.lengths["regenerate"]
    assert set(stated.lengths) == set(chat.lengths)
    assert names["pool"].converses.all()


@pytest.mark.parametrize("table", ["conversation", "prefix"])
def test_the_page_has_a_row_for_every_key(table: str) -> None:
    section = PAGE.split(f"| `[client.{table}]` | |")[1].split("\n\n")[0]
    shorthands: dict[str, Callable[..., Any]] = {"conversation": conversation, "prefix": prefix}
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(inspect.signature(shorthands[table]).parameters)
