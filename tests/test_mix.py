"""Mixtures: each source has its share, what hangs together stays together, and sources stay apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell import formats
from groundswell.cli import execute as run
from groundswell.clients.source import open_source
from groundswell.errors import UsageError
from groundswell.formats.reading import read
from groundswell.mix import Part, _merged, mix, mix_pools
from groundswell.prefix import runs_of
from groundswell.rescale.thin import Thin
from groundswell.table import Workload
from workloads import cut, random_workload, talking


def whole(blocks: Iterable[Workload]) -> pl.DataFrame:
    return pl.concat([block.checked().frame for block in blocks])


def renamed(w: Workload, prefix: str) -> Workload:
    name = pl.col("client").cast(pl.String).replace({c: f"{prefix}{c}" for c in w.clients})
    return Workload(w.frame.with_columns(name.cast(pl.Enum([f"{prefix}{c}" for c in w.clients]))), w.metadata)


A, B = random_workload(20_000, seed=1), renamed(random_workload(30_000, seed=2), "b-")


def test_each_source_has_its_share_of_the_rate() -> None:
    mixture = mix([Part("a", [A], 0.7), Part("b", [B], 0.3)], 4.0, seed=3)
    rows = whole(mixture)
    expected = 4.0 * mixture.span_s
    for prefix, share in (("b-", 0.3), ("", 0.7)):
        found = int(rows["client"].cast(pl.String).str.starts_with("b-").sum())
        found = found if prefix else rows.height - found
        # single requests are chosen, so the count is binomial
        assert abs(found - share * expected) < 5 * np.sqrt(share * expected)
    assert mixture.rate_per_s == 4.0
    assert mixture.span_s == pytest.approx(min(A.arrival_s[-1], B.arrival_s[-1]))
    assert any("cover different times" in note for note in mixture.notes)
    assert any("too few to be chosen among" in note for note in mixture.notes)


def test_without_a_rate_the_sources_own_are_added_up() -> None:
    mixture = mix([Part("a", [A], 1), Part("b", [A], 3)])
    own = len(A) / mixture.span_s
    assert mixture.rate_per_s == pytest.approx(2 * own, rel=1e-3)
    assert mixture.factors == pytest.approx((0.5, 1.5), rel=1e-3)


def test_a_source_at_its_own_rate_comes_as_it_is() -> None:
    mixture = mix([Part("a", [A], 1), Part("b", [A], 1)])
    rows = whole(mixture)
    assert rows.height == 2 * len(A) - 2  # what comes at the very end of a span is behind it
    assert rows["arrival_s"].to_list() == sorted([*A.arrival_s[:-1], *A.arrival_s[:-1]])


def test_conversations_stay_whole_and_no_number_is_that_of_another_source() -> None:
    a, b = talking(300, seed=1), talking(300, seed=2)
    mixture = mix([Part("a", [a], 0.5), Part("b", [b], 0.5)], 0.5 * len(a) / a.arrival_s[-1], seed=1)
    rows = whole(mixture)
    assert mixture.metadata["sources"][0]["by"] == "conversation"
    source = rows["client"].cast(pl.String).str.split("/").list.first()
    assert set(source) == {"a", "b"}
    told = rows.with_columns(source.alias("source")).filter(pl.col("conversation").is_not_null())
    assert told.group_by("conversation").agg(pl.col("source").n_unique())["source"].max() == 1
    ids = [set(rows.filter(source == s)["prefix_blocks"].explode()) for s in ("a", "b")]
    assert not ids[0] & ids[1]
    # a conversation is there with all its turns before the end, or not at all
    lengths = {"a": talk_lengths(a, mixture.span_s), "b": talk_lengths(b, mixture.span_s)}
    for s in ("a", "b"):
        found = (
            told.filter(pl.col("source") == s)
            .sort("conversation", "turn")
            .group_by("conversation", maintain_order=True)
        )
        for turns in found.agg(pl.col("input_tokens"))["input_tokens"].to_list():
            assert tuple(turns) in lengths[s]


def talk_lengths(w: Workload, end_s: float) -> set[tuple[int, ...]]:
    frame = w.frame.filter(pl.col("conversation").is_not_null() & (pl.col("arrival_s") < end_s))
    talks = frame.sort("conversation", "turn").group_by("conversation").agg(pl.col("input_tokens"))
    return {tuple(turns) for turns in talks["input_tokens"].to_list()}


def test_what_is_shared_within_a_source_still_is() -> None:
    a = talking(100, seed=1)
    b = Workload(a.frame.drop("prefix_blocks").with_columns(runs_of(a.frame["prefix_blocks"])), a.metadata)
    mixture = mix([Part("a", [a], 1), Part("b", [b], 1)])
    rows = whole(mixture)
    assert mixture.expected_requests == pytest.approx(rows.height, rel=0.05)
    assert "prefix_blocks" not in rows.columns
    of = {s: rows.filter(pl.col("client").cast(pl.String).str.starts_with(s))["prefix_runs"].to_list() for s in "ab"}
    apart = of["b"][0][0] - of["a"][0][0]
    moved = [[n + apart * (i % 2 == 0) for i, n in enumerate(row)] for row in of["a"]]
    assert moved == of["b"]


@pytest.mark.parametrize("places", [[1], [5, 6, 4000], range(0, 20_000, 777)])
def test_the_same_seed_gives_the_same_rows_however_sources_are_cut(places: list[int], tmp_path: Path) -> None:
    def parts(blocks: list[Workload]) -> list[Part]:
        return [Part("a", blocks, 2), Part("b", [B], 1)]

    expected = whole(mix(parts([A]), 7.0, seed=5))
    assert whole(mix(parts(cut(A, list(places))), 7.0, seed=5)).equals(expected)
    assert not whole(mix(parts([A]), 7.0, seed=6)).equals(expected)


@given(streams=st.lists(st.lists(st.lists(st.integers(0, 20), max_size=6), max_size=5), min_size=1, max_size=4))
@settings(deadline=None)
def test_merging_is_sorting_whatever_the_cuts(streams: list[list[list[int]]]) -> None:
    def frames(stream: list[list[int]], i: int) -> list[pl.DataFrame]:
        times = sorted(t for part in stream for t in part)
        edges = np.cumsum([0, *map(len, stream)])
        table = pl.DataFrame(
            {"arrival_s": times, "i": [i] * len(times)}, schema={"arrival_s": pl.Float64, "i": pl.Int64}
        )
        return [table[a:b] for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]

    cuts = [frames(stream, i) for i, stream in enumerate(streams)]
    merged = list(_merged([iter(parts) for parts in cuts]))
    found = [t for frame in merged for t in frame["arrival_s"]]
    assert found == sorted(t for stream in streams for part in stream for t in part)
    once = list(_merged([iter([pl.concat(parts)] if parts else []) for parts in cuts]))
    assert [r for frame in merged for r in frame.rows()] == [r for frame in once for r in frame.rows()]


def test_columns_that_a_source_lacks_are_empty_there() -> None:
    a, b = random_workload(500, reason=True, items=True), renamed(talking(60), "b-")
    rows = whole(mix([Part("a", [a], 1), Part("b", [b], 1)]))
    of_b = rows.filter(pl.col("client").cast(pl.String).str.starts_with("b-"))
    assert of_b["reason_tokens"].sum() == of_b["image_tokens"].list.len().sum() == 0
    of_a = rows.filter(~pl.col("client").cast(pl.String).str.starts_with("b-"))
    assert of_a["conversation"].null_count() == of_a.height > 0
    assert of_a["prefix_blocks"].list.len().sum() == 0


def test_names_that_two_sources_have_are_led_by_the_sources_name() -> None:
    more = Workload(
        A.frame.with_columns(
            pl.col("client")
            .cast(pl.String)
            .replace("bob", "carl")
            .cast(pl.Enum(["alice", "carl", 'c,"d"', "élan", "idle"]))
        )
    )
    names = next(iter(mix([Part("a", [A], 1), Part("b", [more], 1)]))).clients
    assert set(names) == {
        "a/alice",
        "b/alice",
        "bob",
        "carl",
        'a/c,"d"',
        'b/c,"d"',
        "a/élan",
        "b/élan",
        "a/idle",
        "b/idle",
    }


@pytest.mark.parametrize(
    ("parts", "rate", "told"),
    [
        ([("a", 1.0)], None, "two sources or more"),
        ([("a", 1.0), ("a", 1.0)], None, "two sources are called 'a'"),
        ([("a", 0.0), ("b", 1.0)], None, "a: its share must be a number above 0, not 0"),
        ([("a", 1.0), ("b", float("nan"))], None, "b: its share"),
        ([("a", 1.0), ("b", 1.0)], 0.0, "rate must be a number above 0, not 0"),
    ],
)
def test_mixtures_that_cannot_be_meant_are_refused(
    parts: list[tuple[str, float]], rate: float | None, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        mix([Part(name, [A], weight) for name, weight in parts], rate)


def test_prefix_blocks_of_different_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="16 in a and 32 in b"):
        list(mix([Part("a", [talking(20)], 1), Part("b", [talking(20, block=32)], 1)]))


def test_a_choice_of_units_is_kept() -> None:
    mixture = mix([Part("a", [A], 1), Part("b", [B], 1)], 5.0, thin=Thin(by="client"), seed=1)
    assert [s["by"] for s in mixture.metadata["sources"]] == ["client", "client"]
    # a client is there with all its requests or not at all
    found = whole(mixture)["client"].cast(pl.String).value_counts()
    sent = pl.concat([w.frame.filter(pl.col("arrival_s") < mixture.span_s)["client"].cast(pl.String) for w in (A, B)])
    both = found.join(sent.value_counts(), on="client")
    assert both["count"].equals(both["count_right"].rename("count"))
    assert 0 < both.height < 8


# Pools.


def test_pools_have_their_shares_of_the_rate_and_names_of_their_own() -> None:
    a = open_source("chat-small", span_s=1200)
    b = a.renamed(lambda name: name if name.endswith("1") else f"x-{name}")
    joined, factors = mix_pools([("a", a, 0.7), ("b", b, 0.3)], 50.0)
    rate = joined.mean_rate_per_s
    assert rate[: len(a)].sum() == pytest.approx(35.0)
    assert rate[len(a) :].sum() == pytest.approx(15.0)
    assert factors == pytest.approx([35.0 / a.mean_rate_per_s.sum(), 15.0 / a.mean_rate_per_s.sum()])
    assert "a/chat-small-1" in joined.names
    assert "b/chat-small-1" in joined.names
    assert "chat-small-2" in joined.names


# The command.


def test_the_command_mixes_traces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formats.write([A], tmp_path / "a.parquet", metadata=A.metadata)
    formats.write([talking(100)], tmp_path / "b.jsonl", "dynamo:block_tokens=16", {"prefix_block_tokens": 16})
    words = ["mix", f"{tmp_path}/a.parquet:0.75", f"{tmp_path}/b.jsonl:0.25", "--rate", "3", "--seed", "2"]
    for out in ("x", "y"):
        assert run([*words, "-o", str(tmp_path / f"{out}.parquet")]) == 0
    shown = capsys.readouterr()
    assert "rates: a x" in shown.out
    assert "the mixture covers the shortest" in " ".join(shown.err.split())
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()
    back = Workload.read(tmp_path / "x.parquet").checked()
    assert back.metadata["prefix_block_tokens"] == 16
    assert back.metadata["command"].startswith("groundswell mix a.parquet:0.75 b.jsonl:0.25 --rate 3")
    assert "b" in back.clients  # the one client of a trace that knows of none
    assert run([*words, "-o", str(tmp_path / "z.jsonl"), "--to", "mooncake:block_tokens=16"]) == 0
    assert sum(map(len, read(tmp_path / "z.jsonl"))) == len(back)


def test_the_command_mixes_pools_and_laws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.parquet"
    words = ["mix", "chat-small:0.5", "vision:0.5", "--rate", "30", "--duration", "5m", "-o", str(out)]
    assert run(words) == 0
    w = Workload.read(out)
    assert len(w) / 300 == pytest.approx(30, rel=0.1)
    of_vision = w.frame["client"].cast(pl.String).str.starts_with("vision").mean()
    assert of_vision == pytest.approx(0.5, abs=0.1)
    assert "rates: chat-small x" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.parquet", "b.parquet:1"], "a.parquet: say SOURCE:SHARE, such as a.parquet:0.7"),
        (["a.parquet:1"], "two sources or more"),
        (["a.parquet:1", "chat-small:1"], "chat-small is of clients and a.parquet a trace"),
        (["a.parquet:1", "a.parquet:1", "--duration", "5m"], "--duration is for pools and laws"),
        (["a.parquet:1", "none.parquet:1"], "none.parquet: no such file"),
    ],
)
def test_commands_that_cannot_be_meant_are_told(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    formats.write([A], tmp_path / "a.parquet")
    assert run(["mix", *words, "-o", "out.parquet"]) == 2
    assert told in capsys.readouterr().err
