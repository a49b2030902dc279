"""Runs against llama.cpp's own server: what it counts is what the workload says, and what goes wrong is a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from groundswell.errors import GroundswellError
from groundswell.judge import judge
from groundswell.judge.text import describe
from real_runs import BLOCK_TOKENS, assert_exact, assert_totals, mixed, sent, sharing, talking
from real_servers import Server, free_port
from replaying import workload


@pytest.mark.parametrize("target", ["openai_chat", "openai_completions", "openai_completions:ids=1"])
def test_prompts_and_replies_are_as_long_as_the_workload_says(
    llama_server: Server, tmp_path: Path, target: str
) -> None:
    run = sent(mixed(seed=len(target)), llama_server, tmp_path, target=target, seed=len(target))
    assert_exact(run)
    assert run.said == []
    assert run.results.run["server"] == "llama.cpp"
    assert run.results.run["model"] == llama_server.model
    assert run.results.run["context_tokens"] == 32_768
    frame = run.results.frame
    for before, after in (("due_s", "sent_s"), ("sent_s", "first_token_s"), ("first_token_s", "done_s")):
        assert (frame[before] <= frame[after]).all()
    assert (frame["first_token_s"] == frame["first_answer_s"]).all()
    assert (run.ints("events") <= run.ints("output_tokens")).all()


def test_turns_carry_the_servers_own_answers_and_find_them_in_its_cache(llama_server: Server, tmp_path: Path) -> None:
    run = sent(talking(), llama_server, tmp_path, seed=21)
    frame = run.results.frame
    assert frame["error"].null_count() == len(run.results)
    assert not frame["fresh"].any()
    later = frame["turn"].to_numpy() > 1
    off = run.ints("prompt_tokens") - run.ints("input_tokens")
    assert (off[~later] == 0).all()
    # A reply of 16 random tokens is read back as other tokens: some join, and one that is a part of a letter may be
    # three. What an earlier turn was off by is made up for, so it does not add up: it is 1.6 a turn in the mean.
    assert (off[later] >= -16).all()
    assert (off[later] <= 32).all()
    assert np.abs(off[later]).mean() <= 4
    # All that was sent before is in the cache, up to the reply's first token that is read otherwise.
    before = frame.sort("conversation", "turn")["prompt_tokens"].shift(1).to_numpy()
    cached = frame.sort("conversation", "turn")["cached_tokens"].to_numpy()
    again = frame.sort("conversation", "turn")["turn"].to_numpy() > 1
    assert (cached[again] >= 0.8 * before[again]).mean() >= 0.8
    assert_totals(run)


def test_synthetic_turns_are_exact_and_equal_blocks_hit_the_cache(llama_server: Server, tmp_path: Path) -> None:
    groups, shared = 3, 8
    run = sent(sharing(groups, 5, shared, 2, gap_s=0.08), llama_server, tmp_path, answers="synthetic", seed=31)
    assert_exact(run)
    cached = run.ints("cached_tokens")
    assert (cached[:groups] < BLOCK_TOKENS * shared).all()
    assert (cached[groups:] >= BLOCK_TOKENS * (shared - 1)).all()
    # Beyond the shared blocks prompts are each other's only as far as two words are by chance the same.
    assert (cached[groups:] <= BLOCK_TOKENS * shared + 16).all()


def test_open_turns_are_exact_and_go_out_at_their_times(llama_server: Server, tmp_path: Path) -> None:
    given = talking()
    run = sent(given, llama_server, tmp_path, turns="open", seed=41)
    assert_exact(run)
    assert run.results.frame["due_s"].to_numpy() == pytest.approx(given.arrival_s, abs=1e-8)


def test_natural_lengths_are_the_models_own_up_to_what_was_asked(llama_server: Server, tmp_path: Path) -> None:
    # Random weights find an end at one token in some thousands; a bias makes that one token in a few.
    biased = {"logit_bias": [[2, 6.0]]}
    run = sent(workload(np.arange(40) * 0.02, outputs=40), llama_server, tmp_path, forced=False, extra=biased, seed=51)
    assert run.results.frame["error"].null_count() == 40
    made, asked = run.ints("output_tokens"), run.ints("asked_tokens")
    assert (made <= asked).all()
    assert (made < asked).any()
    assert_totals(run)


def test_without_a_tokenizer_what_the_server_counts_otherwise_is_said_and_shown(
    llama_server: Server, tmp_path: Path
) -> None:
    run = sent(mixed(seed=61, requests=30), llama_server, tmp_path, tokenizer=None, seed=61)
    assert run.results.frame["error"].null_count() == 30
    (guess, ratio) = run.said
    assert guess.startswith("no --tokenizer: prompts are of frequent words, a guess")
    per_word = float(ratio.split("counts ")[1].split(" tokens")[0])
    text = run.ints("made_tokens").sum() - 30 * 8  # the template's eight tokens are right
    assert (run.ints("prompt_tokens").sum() - 30 * 8) / text == pytest.approx(per_word, rel=0.1)
    judged = judge(run.results)
    assert judged.tokens.prompt_mismatches == (run.ints("prompt_tokens") != run.ints("made_tokens")).sum() > 20
    assert f"the server counts {judged.tokens.prompt_mismatches} of 30 prompts otherwise" in describe(judged)
    assert_totals(run)


def test_ids_need_no_tokenizer_to_be_one_token_each(llama_server: Server, tmp_path: Path) -> None:
    given = mixed(seed=65, requests=20)
    run = sent(given, llama_server, tmp_path, target="openai_completions:ids=1", tokenizer=None, seed=65)
    assert_exact(run)
    assert run.said == [
        "no --tokenizer: prompts are of ids 1000 to 1999, a guess, which are taken to be one token each"
    ]


def test_event_times_are_those_of_every_token(llama_server: Server, tmp_path: Path) -> None:
    run = sent(workload(np.arange(10) * 0.05, outputs=12), llama_server, tmp_path, event_times=True, seed=71)
    frame = run.results.frame
    times = frame["event_s"].list
    assert (times.len() == frame["events"]).all()
    assert (times.first() == frame["first_token_s"]).all()
    assert (times.last() <= frame["done_s"]).all()
    assert all((np.diff(one.to_numpy()) >= 0).all() for one in frame["event_s"])


def test_prompts_beyond_the_context_are_said_before_and_end_as_rows_with_the_servers_words(
    llama_server: Server, tmp_path: Path
) -> None:
    given = workload([0.0, 0.1, 0.2, 0.3], input_tokens=[50, 40_000, 60, 33_000])
    run = sent(given, llama_server, tmp_path, seed=81)
    assert run.said == [
        "2 of 4 requests ask for more than the model's context of 32,768 tokens, the longest for 40,000 and a reply of "
        "8: servers refuse them or cut their replies short"
    ]
    frame = run.results.frame
    assert frame["error"].to_list() == [None, "status", None, "status"]
    assert frame["status"].to_list() == [200, 400, 200, 400]
    words = frame["words"].to_list()
    assert "request (40000 tokens) exceeds the available context size (32768 tokens)" in words[1]
    assert "request (33000 tokens)" in words[3]


def test_a_model_that_the_server_does_not_list_is_said(llama_server: Server, tmp_path: Path) -> None:
    run = sent(workload([0.0]), llama_server, tmp_path, model="huge", seed=91)
    assert run.said == ["the server lists tiny, not huge: it answers, but maybe with another model"]
    assert run.results.run["model"] == "huge"


def test_images_for_a_server_that_sees_none_are_said_before_and_end_as_rows(
    llama_server: Server, tmp_path: Path
) -> None:
    given = workload([0.0, 0.05])
    images = pl.Series("image_tokens", [[64], []], dtype=pl.List(pl.Int32))
    given = type(given)(given.frame.with_columns(images), dict(given.metadata))
    run = sent(given, llama_server, tmp_path, seed=101)
    (said,) = run.said
    assert said.startswith("the server refuses images (500: image input is not supported")
    assert said.endswith("; requests with images: 1")
    assert run.results.frame["error"].to_list() == ["status", None]


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("http://127.0.0.1:{free}", r"cannot be used \(refused\).*is the server running, and is that its port\?"),
        ("{url}/elsewhere", r"answered /v1/chat/completions with 404: .*without /v1 and what follows\?"),
    ],
)
def test_a_wrong_url_is_one_line(llama_server: Server, tmp_path: Path, path: str, match: str) -> None:
    url = path.format(free=free_port(), url=llama_server.url)
    model = "tiny" if "{url}" in path else None
    with pytest.raises(GroundswellError, match=match) as caught:
        sent(workload([0.0]), url, tmp_path, model=model)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
