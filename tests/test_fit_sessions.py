"""Conversations and shared beginnings found in a trace: played again, they give back what a cache would have hit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell import read_pool, write_pool
from groundswell.clients.sessions import Sessions
from groundswell.compose import compose
from groundswell.fit import FitSetting, fit_pool, linking
from groundswell.fit._tree import MOST_TURNS, WAYS
from groundswell.prefix import runs_of, with_blocks
from groundswell.service import TPOT_S, TTFT_S
from groundswell.table import BLOCK_SIZE_KEY, Workload
from workloads import cut, random_workload

B = 16
SETTING = FitSetting(min_requests=1, names="keep")
Row = tuple[float, str, list[int], int, int | None]  # arrival, client, prompt's tokens, reply's length, conversation


def trace_of(rows: Sequence[Row], block: int = B) -> Workload:
    """A trace whose blocks' ids say what prompts have in common: tokens are numbers, equal ones are equal."""
    rows = sorted(rows, key=lambda row: row[0])
    numbers: dict[tuple[int, ...], int] = {}
    ids = [
        [numbers.setdefault(tuple(prompt[: at + block]), len(numbers)) for at in range(0, len(prompt), block)]
        for _, _, prompt, _, _ in rows
    ]
    columns: dict[str, object] = {
        "arrival_s": [float(row[0]) for row in rows],
        "client": pl.Series([row[1] for row in rows], dtype=pl.Enum(sorted({row[1] for row in rows}))),
        "input_tokens": pl.Series([len(row[2]) for row in rows], dtype=pl.Int32),
        "output_tokens": pl.Series([row[3] for row in rows], dtype=pl.Int32),
        "prefix_blocks": pl.Series(ids, dtype=pl.List(pl.Int64)),
    }
    if any(row[4] is not None for row in rows):
        columns["conversation"] = pl.Series([row[4] for row in rows], dtype=pl.Int64)
    return Workload(pl.DataFrame(columns), {BLOCK_SIZE_KEY: block})


def sessions_of(*blocks: Workload, setting: FitSetting = SETTING) -> Sessions:
    sessions = fit_pool(blocks, setting).pool.sessions
    assert sessions is not None
    return sessions


def played(sessions: Sessions, block: int = B) -> list[list[object]]:
    """The blocks of each request, in order of time, as the docstring of ``Sessions`` has them."""

    def beginning(k: int, blocks: int) -> list[object]:
        chain = [k]
        while sessions.shared_within[chain[-1]] >= 0:
            chain.append(int(sessions.shared_within[chain[-1]]))
        ids: list[object] = []
        for part in reversed(chain):
            upto = min(int(sessions.shared_tokens[part]) // block, blocks)
            ids += [("shared", part, place) for place in range(len(ids), upto)]
        return ids

    out: list[tuple[float, list[object]]] = []
    for m in range(len(sessions)):
        at_s, prompts = float(sessions.start_s[m]), list[list[object]]()
        for n in range(int(sessions.edge[m]), int(sessions.edge[m + 1])):
            k, length = len(prompts), int(sessions.input_tokens[n])
            at_s += (
                0.0 if not k else TTFT_S + TPOT_S * float(sessions.output_tokens[n - 1]) + float(sessions.think_s[n])
            )
            ids: list[object] = []
            if back := int(sessions.back[n]):
                before, kept = int(sessions.input_tokens[n - back]), int(sessions.kept_tokens[n])
                again = before == length and kept >= length
                ids = prompts[k - back][: -(-length // block) if again else min(kept, before, length) // block]
            elif sessions.shared[n] >= 0:
                ids = beginning(int(sessions.shared[n]), length // block)
            ids = ids + [(m, k, place) for place in range(len(ids), -(-length // block))]
            prompts.append(ids)
            out.append((at_s, ids))
    return [ids for _, ids in sorted(out, key=lambda request: request[0])]


def hits(prompts: Sequence[Sequence[object]]) -> list[int]:
    """How many of each prompt's first blocks had been sent before."""
    seen: set[object] = set()
    out = []
    for ids in prompts:
        known = 0
        while known < len(ids) and ids[known] in seen:
            known += 1
        out.append(known)
        seen.update(ids)
    return out


def random_tree(seed: int, requests: int, *, names: bool, clients: int = 1) -> list[Row]:
    """Prompts of templates in templates, conversations that fork, are cut, and go on, at times a second apart."""
    rng = np.random.default_rng(seed)
    token = iter(range(10, 10**9))

    def text(most: int) -> list[int]:
        return [next(token) for _ in range(rng.integers(1, most))]

    outer = [text(60) for _ in range(2)]
    templates = [*outer, *([*outer[rng.integers(2)], *text(90)] for _ in range(4))]
    talks: list[tuple[str, list[list[int]]]] = []
    rows: list[Row] = []
    for i in range(requests):
        if not talks or rng.random() < 0.3:
            start = templates[rng.integers(len(templates))] if rng.random() < 0.7 else []
            talks.append((f"client {rng.integers(clients)}", [[*start, *text(50)]]))
            number = len(talks) - 1
        else:
            number = int(rng.integers(len(talks)))
            prompts = talks[number][1]
            last = prompts[-1 if rng.random() < 0.8 else rng.integers(len(prompts))]
            kept = len(last) if rng.random() < 0.8 else int(rng.integers(1, len(last) + 1))
            more = text(70) if rng.random() < 0.9 or kept < len(last) else []
            prompts.append([*last[:kept], *more])
        client, prompts = talks[number]
        rows.append((i + rng.random() / 2, client, prompts[-1], int(rng.integers(1, 60)), number if names else None))
    return rows


@given(st.integers(0, 10**6), st.integers(1, 150))
def test_conversations_played_again_at_their_own_times_hit_what_the_trace_hit(seed: int, requests: int) -> None:
    trace = trace_of(random_tree(seed, requests, names=False))
    again = hits(played(sessions_of(trace)))
    assert again == hits(trace.frame["prefix_blocks"].to_list())


def test_on_many_requests_templates_are_found_and_all_hits_come_back_but_of_whole_prompts_that_templates_are() -> None:
    trace = trace_of(random_tree(5, 3000, names=False))
    sessions = sessions_of(trace)
    assert sessions.shared_tokens.size >= 6
    assert (sessions.shared_within >= 0).any()
    assert len(sessions) > 300
    real, again = sum(hits(trace.frame["prefix_blocks"].to_list())), sum(hits(played(sessions)))
    assert again == real


def test_several_clients_share_beginnings_and_no_conversation() -> None:
    trace = trace_of(random_tree(8, 600, names=False, clients=4))
    sessions = sessions_of(trace)
    assert sessions.first.size == 5
    requests = np.bincount(np.repeat(sessions.client, np.diff(sessions.edge)))
    by_client = trace.frame["client"].to_physical().value_counts(sort=True)["count"].to_list()
    assert sorted(requests.tolist(), reverse=True) == by_client
    assert sum(hits(played(sessions))) == sum(hits(trace.frame["prefix_blocks"].to_list()))


def test_named_conversations_stay_what_they_are() -> None:
    rows = random_tree(3, 800, names=True)
    trace = trace_of(rows)
    sessions = sessions_of(trace)
    turns = np.bincount([row[4] for row in rows if row[4] is not None])
    assert sorted(np.diff(sessions.edge).tolist()) == sorted(turns[turns > 0].tolist())
    assert sum(hits(played(sessions))) == sum(hits(trace.frame["prefix_blocks"].to_list()))


@given(st.integers(0, 10**6), st.lists(st.integers(0, 200), max_size=5), st.booleans())
def test_sessions_do_not_depend_on_how_the_trace_is_cut_or_written(seed: int, places: list[int], names: bool) -> None:
    trace = trace_of(random_tree(seed, 200, names=names, clients=2))
    runs = runs_of(trace.frame["prefix_blocks"])
    other = Workload(trace.frame.drop("prefix_blocks").with_columns(runs), trace.metadata)
    one, two = sessions_of(trace), sessions_of(*cut(other, places))
    for name in Sessions.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_document_that_many_ask_about_is_shared_and_a_few_questions_are_one_conversation() -> None:
    document = list(range(1000, 1100))
    few = [(10.0 * i, "a", [*document, 10**6 + i] + [0] * 20, 5, None) for i in range(WAYS - 1)]
    many = [(10.0 * i, "a", [*document, 10**6 + i] + [0] * 20, 5, None) for i in range(3 * WAYS)]
    assert len(sessions_of(trace_of(few))) == 1
    sessions = sessions_of(trace_of(many))
    assert len(sessions) == 3 * WAYS
    assert sessions.shared_tokens.tolist() == [96]
    assert (sessions.shared == 0).all()


def test_what_a_turn_keeps_is_all_that_was_said_or_the_blocks_that_it_shares() -> None:
    first = list(range(100, 140))
    rows: list[Row] = [
        (0, "a", first, 10, None),
        (100, "a", [*first, *range(200, 230)], 10, None),  # goes on: 40 + 10 are kept
        (200, "a", [*first, *range(200, 230)], 10, None),  # the same again
        (300, "a", [*first[:20], *range(300, 330)], 10, None),  # cut: a block of 16 is known to be kept
    ]
    sessions = sessions_of(trace_of(rows))
    assert sessions.edge.tolist() == [0, 4]
    assert sessions.back.tolist() == [0, 1, 1, 1]
    assert sessions.kept_tokens.tolist() == [0, 50, 70, 16]
    np.testing.assert_allclose(sessions.think_s, [0, *[100 - TTFT_S - 10 * TPOT_S] * 3])


def talk(*turns: tuple[float, int, int, float | None]) -> Workload:
    """A conversation without ids, of turns (arrival, input, output, think_s)."""
    base = random_workload(len(turns))
    at, given, reply, think = zip(*turns, strict=True)
    return Workload(
        base.frame.with_columns(
            arrival_s=pl.Series(at, dtype=pl.Float64),
            client=pl.Series(["alice"] * len(turns), dtype=base.frame.schema["client"]),
            input_tokens=pl.Series(given, dtype=pl.Int32),
            output_tokens=pl.Series(reply, dtype=pl.Int32),
            think_s=pl.Series(think, dtype=pl.Float64),
            conversation=pl.lit(7, pl.Int64),
        )
    )


def test_without_ids_the_lengths_say_what_is_kept_and_the_trace_how_long_the_pause_was() -> None:
    trace = talk((0, 100, 50, None), (60, 180, 20, 30.0), (61, 180, 20, None), (200, 90, 5, None), (300, 120, 5, None))
    sessions = sessions_of(trace)
    assert sessions.back.tolist() == [0, 1, 1, 0, 1]
    assert sessions.kept_tokens.tolist() == [0, 150, 180, 0, 95]
    gap = 1 - TTFT_S - 20 * TPOT_S
    np.testing.assert_allclose(sessions.think_s[:3], [0, 30, gap], rtol=1e-6)
    assert sessions.shared_tokens.size == 0


def test_a_trace_with_neither_conversations_nor_ids_has_no_sessions() -> None:
    fitted = fit_pool([random_workload(300)], SETTING)
    assert fitted.pool.sessions is None
    assert BLOCK_SIZE_KEY not in fitted.pool.origin


def test_a_client_of_which_nothing_is_known_has_none() -> None:
    trace = talk((0, 100, 50, None), (60, 180, 20, None))
    other = random_workload(50)
    both = pl.concat(
        [trace.frame, other.frame.filter(pl.col("client").cast(pl.String) != "alice").with_columns(
            think_s=pl.lit(None, pl.Float64), conversation=pl.lit(None, pl.Int64)
        )]
    ).sort("arrival_s")  # fmt: skip
    pool = fit_pool([Workload(both)], SETTING).pool
    assert dict(zip(pool.names, pool.converses.tolist(), strict=True))["alice"]
    assert pool.converses.sum() == 1


def test_a_pool_to_be_shared_has_no_sessions_and_says_so() -> None:
    fitted = fit_pool([trace_of(random_tree(1, 300, names=True))], FitSetting(min_group=20))
    assert fitted.pool.sessions is None
    assert "conversations and shared prefixes" in " ".join(fitted.notes)


def test_a_conversation_of_very_many_turns_is_cut() -> None:
    n = MOST_TURNS + 100
    base = random_workload(n)
    trace = Workload(base.frame.with_columns(conversation=pl.lit(1, pl.Int64)))
    sessions = sessions_of(trace)
    assert np.diff(sessions.edge).max() <= MOST_TURNS
    assert sessions.requests == n


def test_with_too_many_requests_whole_families_are_left_out_and_the_rest_are_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = trace_of(random_tree(4, 2000, names=True))
    whole = sessions_of(trace)
    monkeypatch.setattr(linking, "MOST_STEPS", 1000)
    fitted = fit_pool(cut(trace, [300, 900, 1500]), SETTING)
    some = fitted.pool.sessions
    assert some is not None
    assert 200 < some.requests <= 1000
    kept = np.isin(whole.start_s, some.start_s)
    np.testing.assert_array_equal(np.diff(whole.edge)[kept], np.diff(some.edge))
    assert "conversations was kept" in " ".join(fitted.notes)


def test_a_small_memory_of_blocks_forgets_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = trace_of(random_tree(6, 3000, names=False))
    real = hits(trace.frame["prefix_blocks"].to_list())
    monkeypatch.setattr(linking, "MOST_IDS", 4096)
    monkeypatch.setattr(linking, "MOST_NODES", 1024)
    again = hits(played(sessions_of(*cut(trace, [1000, 2000]))))
    assert len(again) == len(real)
    assert 0.3 * sum(real) < sum(again) <= sum(real)


def test_sessions_and_the_size_of_blocks_come_back_from_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    pool = fit_pool([trace_of(random_tree(2, 400, names=False))], SETTING).pool
    write_pool(pool, tmp_path / "a.pool")
    back = read_pool(tmp_path / "a.pool")
    assert back.origin[BLOCK_SIZE_KEY] == B
    assert pool.sessions is not None
    assert back.sessions is not None
    for name in Sessions.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(back.sessions, name), getattr(pool.sessions, name))


def test_what_is_generated_from_a_fit_hits_about_what_the_trace_hit() -> None:
    # 3,000 requests in some 900 conversations: the share of hits varies by about .5 % with the order they come in
    trace = trace_of(random_tree(9, 3000, names=False))
    made = with_blocks(compose(fit_pool([trace], SETTING).pool, seed=1).collect())
    real, again = (sum(hits(p)) / sum(map(len, p)) for p in (w.frame["prefix_blocks"].to_list() for w in (trace, made)))
    assert again == pytest.approx(real, abs=0.03)
    assert len(made) == pytest.approx(3000, rel=0.05)


def test_a_sub_agent_s_own_beginning_is_shared_though_its_conversation_has_a_name() -> None:
    system, tools = list(range(1000, 1064)), list(range(2000, 2128))
    rows: list[Row] = []
    for talk in range(12):
        said = [*system, *range(10_000 * talk + 50_000, 10_000 * talk + 50_100)]
        own = range(10_000 * talk + 55_000, 10_000 * talk + 55_040)
        rows += [
            (100.0 * talk, "a", said, 20, talk),
            (100.0 * talk + 5, "a", [*tools, *own], 20, talk),  # a sub-agent
            (100.0 * talk + 9, "a", [*said, *range(30)], 20, talk),
        ]
    trace = trace_of(rows)
    sessions = sessions_of(trace)
    assert len(sessions) == 12
    assert sorted(sessions.shared_tokens.tolist()) == [64, 128]
    assert hits(played(sessions)) == hits(trace.frame["prefix_blocks"].to_list())
    made = with_blocks(compose(fit_pool([trace], SETTING).pool, seed=1).collect()).frame
    assert sum(hits(made["prefix_blocks"].to_list())) == pytest.approx(sum(hits(played(sessions))), abs=12)
