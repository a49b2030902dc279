"""Conversations of a population's clients: drawn as its figures say, found again in a pool, and nobody else's affair.

Statistics have fixed seeds and a margin of five standard errors; tables are held to closed forms.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from groundswell.clients import ClientPool
from groundswell.clients.client import Client, pool_of
from groundswell.clients.conversation import conversation, prefix
from groundswell.compose import compose
from groundswell.errors import DataError
from groundswell.population import Population, fit_population
from groundswell.population.fit import left_out
from groundswell.population.law import Conversations
from groundswell.population.session_laws import as_laws
from groundswell.population.text import as_toml

LAW = Population.load("reasoning")
assert LAW.conversations is not None
TALKS: Conversations = LAW.conversations
PAPER = {"requests": 1_964_415, "multi_turn": 188_986, "conversations": 57_205}
"""Twelve hours of deepseek-r1 (ServeGen, arXiv 2505.09999, finding 10)."""


def with_talks(**changes: Any) -> Population:
    return msgspec.structs.replace(LAW, conversations=msgspec.structs.replace(TALKS, **changes))


def table(pool: ClientPool, field: str, client: int = 0) -> tuple[Any, Any]:
    values, share = pool.lengths.table(int(pool.table[client, 0, pool.fields.index(field)]))
    return values, share


def test_the_papers_conversations_are_drawn() -> None:
    pool = LAW.sample(10, 1, span_s=3600)
    assert pool.converses.all()
    turns, share = table(pool, "turns")
    several = turns > 1
    multi_turn = (turns * share)[several].sum() / (turns @ share)
    assert multi_turn == pytest.approx(PAPER["multi_turn"] / PAPER["requests"], abs=1e-4)
    mean = (turns * share)[several].sum() / share[several].sum()
    assert mean == pytest.approx(PAPER["multi_turn"] / PAPER["conversations"], abs=0.01)
    assert np.diff(np.log(share[1:12])) == pytest.approx(np.log(1.3 / 2.3), abs=1e-3)  # geometric from two turns on


def test_pauses_and_new_text_are_log_normal() -> None:
    pool = LAW.sample(3, 1, span_s=3600)
    for field, median, spread in (
        ("think_ms", 1000 * TALKS.think_median_s, TALKS.think_spread),
        ("new_tokens", TALKS.new_median_tokens, TALKS.new_spread),
    ):
        values, share = table(pool, field)
        below = np.cumsum(share)
        for z, quantile in ((-1.2816, 0.1), (0.0, 0.5), (1.2816, 0.9)):
            found = values[np.searchsorted(below, quantile)]
            assert found == pytest.approx(median * np.exp(spread * z), rel=0.02, abs=1.0)
        assert (values == np.rint(values)).all()
    assert table(pool, "think_ms")[0].max() <= 1000 * TALKS.longest_think_s


def test_conversations_change_nothing_else_that_is_drawn() -> None:
    bare = msgspec.structs.replace(LAW, conversations=None).sample(30, 2, span_s=7200)
    pool = LAW.sample(30, 2, span_s=7200)
    own = len(bare.fields)
    assert pool.fields[:own] == bare.fields
    assert not bare.converses.any()
    assert np.array_equal(pool.rate_per_s, bare.rate_per_s)
    assert np.array_equal(pool.cv, bare.cv, equal_nan=True)
    assert np.array_equal(pool.table[:, :, :own], bare.table)
    held = bare.lengths.value.size
    assert np.array_equal(pool.lengths.value[:held], bare.lengths.value)
    assert np.array_equal(pool.lengths.threshold[:held], bare.lengths.threshold)


@pytest.mark.parametrize("name", ["chat-large", "chat-small", "vision"])
def test_populations_without_the_figures_do_not_converse(name: str) -> None:
    pool = Population.load(name).sample(5, 0, span_s=3600)
    assert not pool.converses.any()
    assert not {"turns", "think_ms", "new_tokens"} & set(pool.fields)


def test_a_share_of_the_clients_converses_whoever_else_is_drawn() -> None:
    law = with_talks(clients=0.3)
    many = law.sample(2000, 5, span_s=600)
    assert many.converses.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 2000))
    assert np.array_equal(law.sample(40, 5, span_s=600).converses, many.converses[:40])


def test_cut_contexts_and_replies_that_are_asked_for_again_are_drawn_where_stated() -> None:
    pool = with_talks(kept=0.8, regenerated=0.05).sample(2, 1, span_s=600)
    assert table(pool, "kept_ratio")[0] == pytest.approx([0.8])
    values, share = table(pool, "regenerate")
    assert values.tolist() == [0, 1]
    assert share == pytest.approx([0.95, 0.05])
    assert not {"kept_ratio", "regenerate"} & set(LAW.sample(2, 1, span_s=600).fields)


def test_what_is_generated_has_as_many_later_turns_as_the_paper() -> None:
    pool = LAW.sample(1, 3, span_s=86_400).scaled(1.0)
    workload = compose(pool, 20.0, 20_000.0, seed=3).collect().frame
    later = float((workload["turn"] > 1).mean())  # type: ignore[arg-type]
    singles = PAPER["requests"] - PAPER["multi_turn"]
    stated = 1 - (singles + PAPER["conversations"]) / PAPER["requests"]
    per_conversation = workload.group_by("conversation").len()["len"].to_numpy()
    error = np.sqrt((((per_conversation - 1) - later * per_conversation) ** 2).sum()) / workload.height
    assert later == pytest.approx(stated, abs=5 * error + 0.002)  # 1 in 500 comes after the warm-up


def test_figures_at_their_limits_can_be_drawn() -> None:
    for changes in ({"think_spread": 5.0, "new_spread": 5.0}, {"think_spread": 0.0}, {"think_median_s": 1e-6}):
        values, share = table(with_talks(**changes).sample(1, 1, span_s=600), "think_ms")
        assert 1 <= values.min() <= values.max() <= 1000 * TALKS.longest_think_s
        assert share.sum() == pytest.approx(1)
    assert table(with_talks(multi_turn=0.0).sample(1, 1, span_s=600), "turns")[0].tolist() == [1]
    assert table(with_talks(multi_turn=1.0, turns=2.0).sample(1, 1, span_s=600), "turns")[0].tolist() == [2]


# Fitting.


def test_conversations_that_were_drawn_are_found_again() -> None:
    law = with_talks(clients=0.8, multi_turn=0.4, turns=4.0, kept=0.9, regenerated=0.1)
    found = fit_population(law.sample(60, 1)).conversations
    assert found is not None
    for name in ("multi_turn", "turns", "kept", "regenerated"):
        assert getattr(found, name) == pytest.approx(getattr(law.conversations, name), rel=0.01), name
    for name in ("think_median_s", "think_spread", "new_median_tokens", "new_spread"):
        assert getattr(found, name) == pytest.approx(getattr(law.conversations, name), rel=0.03), name
    assert found.clients == pytest.approx(law.sample(60, 1).converses.mean(), abs=1e-3)


def test_figures_are_weighed_by_what_the_clients_send() -> None:
    """Of nine requests a second in conversations of three and one in conversations of two: 3 a second, and half one."""
    lengths: dict[str, Any] = {"input_tokens": 100, "output_tokens": 50}
    pool = pool_of(
        [
            Client("a", 9.0, "poisson", lengths | conversation(3, 10, 70)),
            Client("b", 1.0, "poisson", lengths | conversation(2, 10, 70)),
        ]
    )
    found = fit_population(pool).conversations
    assert found is not None
    assert found.turns == pytest.approx(10 / 3.5, abs=0.01)
    assert (found.multi_turn, found.think_median_s, found.new_median_tokens) == (1.0, 10.0, 70.0)
    assert fit_population(pool.clients(["a"])).lengths[0].field == "input_tokens"


def test_what_a_fit_leaves_out_is_said() -> None:
    lengths: dict[str, Any] = {"input_tokens": 100, "output_tokens": 50}
    shared = pool_of([Client("a", 9.0, "poisson", lengths | prefix(40))])
    assert left_out(shared) == ["shared beginnings of prompts are left out"]
    assert [one.field for one in fit_population(shared).lengths] == ["input_tokens", "output_tokens"]
    agents = Population.load("agent").sample(5, 1, span_s=3600)
    assert "keeps whole" in left_out(agents)[0]
    assert "shared beginnings" in left_out(agents)[1]
    assert left_out(LAW.sample(3, 1, span_s=600)) == []


def test_whole_conversations_of_no_time_are_counted_as_they_are() -> None:
    agents = Population.load("agent").sample(5, 1, span_s=3600)
    found, sessions = fit_population(agents).conversations, agents.sessions
    assert found is not None
    assert sessions is not None
    requests = np.diff(sessions.edge)
    each = [requests[sessions.client == c] for c in range(5)]
    begun = agents.mean_rate_per_s / np.array([own.mean() for own in each])
    several = np.array([(own > 1).mean() for own in each]) @ begun
    turns = np.array([own[own > 1].sum() / own.size for own in each]) @ begun
    assert found.turns == pytest.approx(turns / several, rel=5e-3)
    assert found.multi_turn == pytest.approx(turns / agents.mean_rate_per_s.sum(), abs=1e-4)
    assert found.longest == requests.max()


def test_a_pool_without_whole_conversations_is_as_it_was() -> None:
    pool = LAW.sample(3, 1, span_s=600)
    assert as_laws(pool) is pool


def test_each_client_s_first_prompts_are_its_own() -> None:
    agents = Population.load("agent").sample(2, 1, span_s=3600)
    pool = as_laws(agents)
    assert pool.sessions is None
    assert pool.converses.all()
    assert pool.fields[: len(agents.fields)] == agents.fields
    sessions = agents.sessions
    assert sessions is not None
    for c in range(2):
        first = sessions.input_tokens[sessions.edge[sessions.first[c] : sessions.first[c + 1]]]
        values, share = table(pool, "input_tokens", c)
        held, count = np.unique(first, return_counts=True)
        np.testing.assert_array_equal(values, held)
        np.testing.assert_allclose(share, count / count.sum(), atol=1e-8)


# The file.


def test_a_file_keeps_the_figures_and_may_do_without() -> None:
    law = with_talks(clients=0.5, kept=0.75)
    assert msgspec.toml.decode(as_toml(law), type=Population) == law
    bare = msgspec.structs.replace(LAW, conversations=None)
    assert "[conversations]" not in as_toml(bare)
    assert msgspec.toml.decode(as_toml(bare), type=Population) == bare


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("turns = 3.3", "turns = 1.3"), r">= 2.0 - at `\$.conversations.turns`"),
        (("multi_turn = 0.0962", "multi_turn = 9.62"), r"<= 1.0 - at `\$.conversations.multi_turn`"),
        (("think_spread", "think_sigma"), "think_sigma|think_spread"),
        (("longest = 100", "longest = 100000"), r"at `\$.conversations.longest`"),
        (("clients = 1.0", "clients = 0.0"), r"> 0.0 - at `\$.conversations.clients`"),
    ],
)
def test_a_broken_figure_is_told_by_name(change: tuple[str, str], said: str, tmp_path: Any) -> None:
    text = as_toml(LAW)
    head, talks = text.split("[conversations]")
    assert change[0] in talks
    (tmp_path / "broken.toml").write_text(head + "[conversations]" + talks.replace(*change), "utf-8")
    with pytest.raises(DataError, match=said):
        Population.load(tmp_path / "broken.toml")


def test_the_figures_are_those_of_the_paper() -> None:
    assert isinstance(TALKS, Conversations)
    assert "2505.09999" in TALKS.source
    assert "assumed" in TALKS.source
