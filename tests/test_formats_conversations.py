"""Conversations in files: what is written for each reader, and that our own gives back who said what and when."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundswell import formats
from groundswell.errors import DataError
from groundswell.formats import FORMATS
from groundswell.formats._blocks import BlockIds
from groundswell.formats._numbering import Numbering
from groundswell.formats._words import WORDS, texts
from groundswell.formats.reading import read
from groundswell.prefix import runs_of
from groundswell.table import Workload
from json_traces import saved
from traces import rows_of
from workloads import cut, talking

WHOLE_PROMPTS = ["dynamo:block_tokens=16", "bailian", "weka:block_tokens=16,scope=global", "jsonl", "parquet"]
DELTAS = ["aiperf:block_tokens=16", "dynamo:turns=delta,block_tokens=16"]
TEXTS = ["vllm_multi_turn", "sglang", "sglang:kind=custom"]
KEPT_THINK = {"bailian"}
"""What has no time to think."""


def written(workload: Workload, path: Path, text: str, notes: list[str] | None = None) -> Path:
    formats.write([workload], path, text, workload.metadata, notes=notes)
    return path


def by_time(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in an order that does not depend on how equal times are ordered, counted from the first."""
    ms = ((pl.col("arrival_s") - pl.col("arrival_s").min()) * 1000).round().cast(pl.Int64)
    return rows.with_columns(ms.alias("ms")).sort("ms", "input_tokens", "output_tokens", maintain_order=True)


def shape(ids: pl.Series) -> list[list[int]]:
    """Lists of ids with these numbered as they are met: equal where the same blocks are shared."""
    number: dict[int, int] = {}
    return [[number.setdefault(i, len(number)) for i in row] for row in ids.to_list()]


def same_talks(before: pl.Series, after: pl.Series) -> None:
    """Whether two columns put the same rows together; a row of none may have become a conversation of its own."""
    both = pl.DataFrame({"b": before, "a": after})
    talks = both.filter(pl.col("b").is_not_null())
    assert talks.n_unique() == talks["b"].n_unique() == talks["a"].n_unique()
    alone = both.filter(pl.col("b").is_null())["a"].drop_nulls()
    assert alone.n_unique() == alone.len()


@pytest.mark.parametrize("text", [*WHOLE_PROMPTS, *DELTAS])
@given(talks=st.integers(1, 25), seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_conversations_come_back_as_they_were(text: str, talks: int, seed: int, tmp_path: Path) -> None:
    w = talking(talks, seed)
    # Whether rows hold deltas is in no file, and only sessions of several turns tell that they do not.
    form = text if text.startswith("dynamo") else None
    after = by_time(rows_of(read(written(w, tmp_path / "x", text), form)))
    before = by_time(w.frame)
    name = text.partition(":")[0]
    assert after["ms"].to_list() == before["ms"].to_list()
    assert after["input_tokens"].equals(before["input_tokens"])
    assert after["output_tokens"].equals(before["output_tokens"])
    same_talks(before["conversation"], after["conversation"])
    told = before["conversation"].is_not_null()
    assert after.filter(told)["turn"].equals(before.filter(told)["turn"])
    if name not in KEPT_THINK and before["think_s"].drop_nulls().len():
        think = after.filter(told)["think_s"].fill_null(-1).to_numpy()
        assert think == pytest.approx(before.filter(told)["think_s"].fill_null(-1).to_numpy(), abs=1e-6)
    if text in WHOLE_PROMPTS:
        ids = before["prefix_blocks"]
        if name == "weka":  # full blocks alone
            ids = before.select(pl.col("prefix_blocks").list.head(pl.col("input_tokens") // 16)).to_series()
        assert shape(after["prefix_blocks"]) == shape(ids)


@pytest.mark.parametrize("text", [*WHOLE_PROMPTS[:-1], *DELTAS, *TEXTS, "mooncake:block_tokens=16", "csv", "weka"])
def test_bytes_depend_on_neither_the_cut_nor_the_form_of_prefixes(text: str, tmp_path: Path) -> None:
    w = talking(30)
    whole = written(w, tmp_path / "whole", text).read_bytes()
    runs = w.frame.drop("prefix_blocks").with_columns(runs_of(w.frame["prefix_blocks"]))
    for place in ([], [1], [7, 8, 60]):
        formats.write(cut(Workload(runs, w.metadata), place), tmp_path / "cut", text, w.metadata)
        assert (tmp_path / "cut").read_bytes() == whole


def test_parquet_keeps_runs_as_they_are(tmp_path: Path) -> None:
    w = talking(10)
    runs = w.frame.drop("prefix_blocks").with_columns(runs_of(w.frame["prefix_blocks"]))
    formats.write([Workload(runs)], tmp_path / "x.parquet", metadata=w.metadata)
    assert Workload.read(tmp_path / "x.parquet").frame.equals(runs)


# Rows of sessions.


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def cut_context() -> Workload:
    """A conversation whose third prompt is shorter than what was said, and whose fourth has no time to think."""
    frame = pl.DataFrame(
        {
            "arrival_s": [0.0, 2.0, 4.0, 10.0],
            "client": pl.Series(["a"] * 4, dtype=pl.Enum(["a"])),
            "input_tokens": pl.Series([100, 160, 50, 80], dtype=pl.Int32),
            "output_tokens": pl.Series([50, 10, 10, 10], dtype=pl.Int32),
            "conversation": [7, 7, 7, 7],
            "think_s": [None, 0.25, 0.5, None],
        }
    )
    return Workload(frame)


def test_a_row_of_a_session_holds_what_is_new(tmp_path: Path) -> None:
    notes: list[str] = []
    assert rows(written(cut_context(), tmp_path / "x", "aiperf", notes)) == [
        {"session_id": "7", "timestamp": 0.0, "input_length": 100, "output_length": 50},
        {"session_id": "7", "delay": 250.0, "input_length": 10, "output_length": 10},
        # 50 tokens cannot hold the 170 that were said
        {"session_id": "7.2", "timestamp": 4000.0, "input_length": 50, "output_length": 10},
        # the reply before is taken to end at 4 + 0.5 + 10 × 0.02 s
        {"session_id": "7.2", "delay": 5300.0, "input_length": 20, "output_length": 10},
    ]
    assert len(notes) == 2
    assert notes[0].startswith("1 turns hold less than was said before")
    assert notes[1].startswith("1 turns have no time to think")


def test_a_row_of_a_session_holds_the_whole_prompt_for_dynamo(tmp_path: Path) -> None:
    found = rows(written(cut_context(), tmp_path / "x", "dynamo"))
    assert [row["input_length"] for row in found] == [100, 160, 50, 80]
    assert [row.get("timestamp") for row in found] == [0, None, None, None]
    assert [row.get("delay") for row in found] == [None, 250, 500, 5300]
    assert {row["session_id"] for row in found} == {"7"}
    assert [len(row["hash_ids"]) for row in found] == [1, 1, 1, 1]


def test_dynamos_other_names_are_read_too(tmp_path: Path) -> None:
    w = talking(12)
    names = {"timestamp": "created_time", "input_length": "input_tokens", "output_length": "output_tokens"}
    names |= {"delay": "delay_ms"}
    told = [
        {names.get(key, key): value for key, value in row.items()}
        for row in rows(written(w, tmp_path / "x", "dynamo:block_tokens=16"))
    ]
    trace = read(saved(tmp_path, told))
    assert trace.format == "dynamo"
    assert rows_of(trace).drop("conversation").equals(rows_of(read(tmp_path / "x")).drop("conversation"))


# Ids.


@given(parts=st.lists(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5), max_size=40), max_size=8))
def test_equal_keys_have_equal_numbers_in_the_order_they_are_met(parts: list[list[int]]) -> None:
    numbering, known = Numbering(), dict[int, int]()
    for keys in parts:
        expected = [known.setdefault(key, len(known)) for key in keys]
        assert numbering.of(np.array(keys, np.int64)).tolist() == expected
    assert numbering.given == len(known)


def test_numbers_stay_right_while_the_table_grows_and_others_are_given_between() -> None:
    numbering, rng = Numbering(), np.random.default_rng(1)
    keys = rng.integers(-(2**63), 2**63, 50_000)
    first = numbering.of(keys)
    between = numbering.fresh(10)
    assert between.tolist() == list(range(int(first.max()) + 1, int(first.max()) + 11))
    assert (numbering.of(keys) == first).all()
    alone = numbering.of(keys[:3], np.ones(3, np.bool_))
    assert alone.tolist() == list(range(int(between[-1]) + 1, int(between[-1]) + 4))


@pytest.mark.parametrize("text", ["guidellm:block_tokens=16", "dynamo:block_tokens=16", "mooncake:block_tokens=16"])
def test_random_ids_of_62_bits_stay_shared_and_apart(text: str, tmp_path: Path) -> None:
    w = talking(20)
    far = pl.col("prefix_blocks") + 2**62 + 12345
    back = rows(written(Workload(w.frame.with_columns(far), w.metadata), tmp_path / "x", text))
    ids = pl.Series([row["hash_ids"] for row in back], dtype=pl.List(pl.Int64))
    assert shape(ids) == shape(w.frame["prefix_blocks"])
    numbers = {i for row in ids.to_list() for i in row}
    assert min(numbers) >= 0
    if not text.startswith("mooncake"):  # whose readers take any
        assert numbers == set(range(len(numbers)))


def test_more_ids_than_32_bits_hold_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("groundswell.formats._blocks._MOST_DENSE", 100)
    with pytest.raises(DataError, match="more than 100 different blocks of 16 tokens"):
        written(talking(20), tmp_path / "x", "guidellm:block_tokens=16")
    assert not list(tmp_path.iterdir())


# One conversation in one place.


def test_a_session_of_wekas_kind_has_its_requests_in_order(tmp_path: Path) -> None:
    w = talking(25)
    found = rows(written(w, tmp_path / "x", "weka:block_tokens=16,clock=own"))
    sizes = w.frame.group_by("conversation").len().drop_nulls()["len"].to_list()
    assert Counter(len(s["requests"]) for s in found) == Counter(sizes + [1] * w.frame["conversation"].null_count())
    for session in found:
        times = [r["t"] for r in session["requests"]]
        assert times[0] == 0
        assert times == sorted(times)
        assert min((i for r in session["requests"] for i in r["hash_ids"]), default=1) == 1
        for a, b in pairwise(session["requests"]):
            assert a["t"] + a["api_time"] + b["think_time"] == pytest.approx(b["t"], abs=3e-6)
    assert any("begin at once" in note for note in read(tmp_path / "x").reading.notes)


def test_conversations_are_collected_through_files_where_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = talking(200)
    whole = written(w, tmp_path / "whole", "weka").read_bytes()
    monkeypatch.setattr("groundswell.formats._by_conversation.RUN_ROWS", 50)
    monkeypatch.setattr("groundswell.formats._by_conversation._FRAME_TOKENS", {False: 2000, True: 2000})
    monkeypatch.setattr("groundswell.formats._by_conversation._FRAME_ROWS", (1, 10))
    monkeypatch.setattr("groundswell.formats.reading.order._MARK_EVERY", 4)
    formats.write(cut(w, range(0, len(w), 20)), tmp_path / "cut", "weka", w.metadata)
    assert (tmp_path / "cut").read_bytes() == whole


def test_a_folder_of_sessions_is_read_as_one_trace(tmp_path: Path) -> None:
    whole = rows_of(read(written(talking(9), tmp_path / "x.jsonl", "weka")))
    folder = tmp_path / "sessions"
    folder.mkdir()
    for i, line in enumerate((tmp_path / "x.jsonl").read_text().splitlines()):
        (folder / f"s{i:03}.json").write_text(json.dumps(json.loads(line), indent=1), encoding="utf-8-sig")
    assert rows_of(read(folder)).equals(whole)
    (folder / "s003.json").write_text("[]")
    with pytest.raises(DataError, match=r"s003.json: is JSON, but no object"):
        read(folder)


def test_wekas_own_sessions_are_read_whole(public_data: Path) -> None:
    folder = public_data / "weka" / "traces"
    if not folder.is_dir():
        pytest.skip("no sessions of WEKA's")
    sessions = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    trace = read(folder)
    found = rows_of(trace)
    assert trace.metadata["prefix_block_tokens"] == 64
    assert found.height == sum(len(s["requests"]) for s in sessions)
    assert found["input_tokens"].sum() == sum(r["in"] for s in sessions for r in s["requests"])
    assert sorted(found.group_by("conversation").len()["len"]) == sorted(len(s["requests"]) for s in sessions)
    ids = [len({i for r in s["requests"] for i in r["hash_ids"]}) for s in sessions]
    assert found["prefix_blocks"].explode().n_unique() == sum(ids)


# Text.


def test_a_text_has_a_word_for_each_token_and_equal_blocks_have_equal_words() -> None:
    assert len(set(WORDS)) == len(WORDS) == 256
    ids = np.array([5, 6, 5, 9, 5])
    found = texts(ids, np.array([2, 0, 3]), np.array([7, 0, 12]), 4).to_list()
    words = [text.split() for text in found]
    assert [len(w) for w in words] == [7, 0, 12]
    assert words[0][:4] == words[2][:4] == words[2][8:]
    assert words[2][4:8] != words[2][:4]
    assert set(words[0] + words[2]) <= set(WORDS)


def messages_of(w: Workload) -> dict[str, list[tuple[int, int]]]:
    """New tokens and reply of every turn of each conversation."""
    told = w.frame.filter(pl.col("conversation").is_not_null())
    talks = {}
    for (name,), turns in told.group_by("conversation"):
        before = (turns["input_tokens"] + turns["output_tokens"]).shift(1).fill_null(0)
        talks[str(name)] = list(zip(turns["input_tokens"] - before, turns["output_tokens"], strict=True))
    return talks


def test_vllms_conversations_are_a_users_and_an_assistants_messages_in_turn(tmp_path: Path) -> None:
    w = talking(20)
    found = json.loads(written(w, tmp_path / "x", "vllm_multi_turn").read_text())
    talks = messages_of(w)
    assert len({c["id"] for c in found}) == len(found) == len(talks) + w.frame["conversation"].null_count()
    for c in found:
        assert [set(m) for m in c["messages"]] == [{"role", "content"}] * len(c["messages"])
        assert [m["role"] for m in c["messages"]] == ["user", "assistant"] * (len(c["messages"]) // 2)
        lengths = [len(m["content"].split()) for m in c["messages"]]
        if c["id"] in talks:
            assert list(zip(lengths[::2], lengths[1::2], strict=True)) == talks[c["id"]]


def test_prompts_that_begin_alike_are_texts_that_do(tmp_path: Path) -> None:
    w = talking(30)
    found = {c["id"]: c for c in json.loads(written(w, tmp_path / "x", "vllm_multi_turn").read_text())}
    first = w.frame.filter(pl.col("turn") == 1)
    ids = dict(zip(first["conversation"].cast(pl.String), first["prefix_blocks"].to_list(), strict=True))
    for a, b in pairwise(ids):
        texts_of = [found[name]["messages"][0]["content"].split() for name in (a, b)]
        shared = next((i for i, pair in enumerate(zip(ids[a], ids[b], strict=False)) if pair[0] != pair[1]), 0)
        assert texts_of[0][: 16 * shared] == texts_of[1][: 16 * shared]
        # of two blocks of their own, one word in 256 is the same by chance; 16 in a row are not
        assert texts_of[0][16 * shared : 16 * shared + 16] != texts_of[1][16 * shared : 16 * shared + 16]


def test_sglangs_turns_hold_what_is_new_and_how_long_the_prompt_is(tmp_path: Path) -> None:
    w = talking(20)
    found = json.loads(written(w, tmp_path / "x", "sglang").read_text())["conversations"]
    new = Counter(tuple(n for n, _ in turns) for turns in messages_of(w).values())
    new += Counter((n,) for n in w.frame.filter(pl.col("conversation").is_null())["input_tokens"])
    assert Counter(tuple(len(t["messages"][0]["content"].split()) for t in turns) for turns in found) == new
    assert {t["messages"][0]["role"] for turns in found for t in turns} == {"user"}
    assert sorted(t["prompt_tokens"] for turns in found for t in turns) == sorted(w.input_tokens.tolist())


def test_sglangs_pairs_are_a_whole_prompt_and_a_reply(tmp_path: Path) -> None:
    w = talking(20)
    found = [row["conversations"] for row in rows(written(w, tmp_path / "x", "sglang:kind=custom"))]
    assert [len(pair[0]["content"].split()) for pair in found] == w.input_tokens.tolist()
    assert [len(pair[1]["content"].split()) for pair in found] == w.output_tokens.tolist()


@pytest.mark.parametrize("text", TEXTS)
def test_a_workload_without_requests_is_an_empty_document(text: str, tmp_path: Path) -> None:
    whole = written(cut(talking(1), [0])[0], tmp_path / "x", text).read_text()
    assert whole == "" if "custom" in text else not any(json.loads(whole) if text == "vllm_multi_turn" else [])


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_not_read_is_told_so(text: str) -> None:
    assert "is not read back" in FORMATS[text.partition(":")[0]].coarser


# What cannot be meant.


def chat(chat: int, parent: int, at_s: float, turn: int) -> dict[str, Any]:
    return {
        "chat_id": chat,
        "parent_chat_id": parent,
        "timestamp": at_s,
        "input_length": 20,
        "output_length": 9,
        "type": "text",
        "turn": turn,
        "hash_ids": [1, 2],
    }


def session(*requests: dict[str, Any], size: int = 64, name: str = "s") -> dict[str, Any]:
    return {"id": name, "models": ["m"], "block_size": size, "hash_id_scope": "local", "requests": list(requests)}


def call(t: float | None, tokens: int, ids: int) -> dict[str, Any]:
    return {"t": t, "type": "n", "model": "m", "in": tokens, "out": 1, "hash_ids": list(range(ids))}


@pytest.mark.parametrize(
    ("told", "broken"),
    [
        ("line 1: chat 1 follows chat 2, and that in turn", [chat(1, 2, 0.0, 1), chat(2, 1, 1.0, 2)]),
        ("line 2: chat 2 follows chat 4", [chat(1, -1, 0, 1), chat(2, 4, 1, 2), chat(3, 2, 2, 3), chat(4, 3, 3, 4)]),
        ("line 2: chat 5 follows chat 5", [chat(1, -1, 0.0, 1), chat(5, 5, 1.0, 2)]),
        ("line 2: chat 2 is at 1.0 s, before chat 1 that it follows, at 5.0 s", [chat(1, -1, 5, 1), chat(2, 1, 1, 2)]),
        ("line 2: chat 2 is turn 3 and follows chat 1, which is turn 3", [chat(1, -1, 0.0, 3), chat(2, 1, 1.0, 3)]),
        ("line 2: column 'hash_ids' has 5 ids", [chat(1, -1, 0, 1), {**chat(2, -1, 0, 1), "hash_ids": [1] * 5}]),
        ("line 1: request 2 of session s is at 1.0 s, before", [session(call(2.0, 9, 0), call(1.0, 9, 0))]),
        ("line 2: request 1 of session s has 3 hash_ids, more than", [session(call(0, 9, 0)), session(call(0, 99, 3))]),
        ("line 2: session b has blocks of 16", [session(call(0, 9, 0)), session(call(0, 9, 0), size=16, name="b")]),
        ("line 2: column 't' is empty", [session(call(0, 9, 0)), session(call(None, 9, 0))]),
        ("line 2: column 'in' is -3", [session(call(0, 9, 0)), session(call(1, -3, 0))]),
        (
            "line 2: is turn 2 of session a and comes 5.0 ms before the turn that it follows",
            [
                {"session_id": "a", "timestamp": 10, "input_length": 5, "output_length": 1},
                {"session_id": "a", "timestamp": 5, "input_length": 5, "output_length": 1},
            ],
        ),
        (
            "line 2: column 'delay' is -5",
            [
                {"session_id": "a", "timestamp": 10, "input_length": 5, "output_length": 1},
                {"session_id": "a", "delay": -5000, "input_length": 5, "output_length": 1},
            ],
        ),
        (
            "line 2: column 'turn' is 2, but column 'conversation' is empty",
            [
                {"arrival_s": 0, "input_tokens": 1, "output_tokens": 1, "conversation": 4, "turn": 2},
                {"arrival_s": 0, "input_tokens": 1, "output_tokens": 1, "turn": 2},
            ],
        ),
    ],
)
def test_conversations_that_cannot_be_meant_are_told_with_their_line(
    told: str, broken: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=told):
        rows_of(read(saved(tmp_path, broken)))


def test_ids_are_given_to_every_block_of_what_is_new() -> None:
    ids = BlockIds(16, {"prefix_block_tokens": 16})
    w = talking(5)
    assert [len(row) for row in ids.of(w).to_list()] == [-(-int(n) // 16) for n in w.input_tokens]
