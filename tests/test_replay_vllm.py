"""Runs against vLLM, whose scheduler is a real one: it runs out of cache, preempts, and shares prefixes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundswell.errors import GroundswellError
from groundswell.judge import judge
from real_runs import BLOCK_TOKENS, assert_exact, assert_totals, mixed, sent, sharing, talking
from real_servers import Server
from replaying import workload

pytestmark = pytest.mark.vllm

TOTALS = ("prompt_tokens", "output_tokens", "requests")


@pytest.mark.parametrize("target", ["openai_chat", "openai_completions", "openai_completions:ids=1"])
def test_prompts_and_replies_are_as_long_as_the_workload_says(vllm_server: Server, tmp_path: Path, target: str) -> None:
    run = sent(mixed(seed=len(target)), vllm_server, tmp_path, target=target, seed=len(target))
    assert_exact(run)
    assert run.said == []
    assert run.results.run["server"] == "vLLM"
    assert run.results.run["version"].startswith("0.32")
    assert run.results.run["context_tokens"] == 4096
    assert run.results.totals["requests"] == len(run.results)
    assert judge(run.results).tokens.prompt_mismatches == 0


def test_a_server_that_preempts_fails_nothing_and_shows_it_in_the_series(vllm_server: Server, tmp_path: Path) -> None:
    # 64 replies of 224 tokens need 15,616 tokens of cache with their prompts of 20; there are 8,192.
    given = workload(np.linspace(0, 0.5, 64), inputs=20, outputs=224)
    run = sent(given, vllm_server, tmp_path, seed=11)
    assert_exact(run)
    assert run.results.totals["preemptions"] > 0
    series = run.results.series
    preemptions, kv_used, running = (np.array(series[name], float) for name in ("preemptions", "kv_used", "running"))
    assert np.nanmax(preemptions) - np.nanmin(preemptions) > 0
    assert np.nanmax(kv_used) > 0.7  # it is looked at once a second
    assert np.nanmax(running) > 16


def test_equal_blocks_hit_the_prefix_cache(vllm_server: Server, tmp_path: Path) -> None:
    # Blocks of the workload are 16 tokens, and of the server 32; the template's tokens in front shift one against the
    # other, so of what is shared one of the server's blocks may be lost.
    groups, each, shared = 3, 6, 32
    given = sharing(groups, each, shared, 4, gap_s=0.3, first_block=1000)
    run = sent(given, vllm_server, tmp_path, answers="synthetic", seed=21)
    assert_exact(run)
    again = groups * (each - 1)
    hits = run.results.totals["prefix_hits"]
    assert again * (shared * BLOCK_TOKENS - 32) <= hits <= again * (shared * BLOCK_TOKENS + 32)
    assert run.results.totals["prefix_queries"] == run.ints("prompt_tokens").sum()


def test_turns_carry_the_servers_own_answers_and_find_them_in_its_cache(vllm_server: Server, tmp_path: Path) -> None:
    run = sent(talking(), vllm_server, tmp_path, seed=31)
    frame = run.results.frame
    assert frame["error"].null_count() == len(run.results)
    assert not frame["fresh"].any()
    later = frame["turn"].to_numpy() > 1
    off = run.ints("prompt_tokens") - run.ints("input_tokens")
    assert (off[~later] == 0).all()
    assert (off[later] >= -16).all()
    assert (off[later] <= 32).all()
    assert np.abs(off[later]).mean() <= 4
    assert (run.ints("output_tokens") == 16).all()
    assert_totals(run)
    # Of a later turn all whole blocks of the prompt before it are found.
    found = sum(turn // 32 * 32 for turn in frame.filter(frame["turn"] < 4)["prompt_tokens"].to_list())
    assert run.results.totals["prefix_hits"] >= 0.9 * found


def test_prompts_beyond_the_context_end_as_rows_with_the_servers_words(vllm_server: Server, tmp_path: Path) -> None:
    run = sent(workload([0.0, 0.1, 0.2], input_tokens=[50, 5000, 60]), vllm_server, tmp_path, seed=41)
    (said,) = run.said
    assert said.startswith("1 of 3 requests ask for more than the model's context of 4,096 tokens")
    frame = run.results.frame
    assert frame["error"].to_list() == [None, "status", None]
    assert frame["status"].to_list() == [200, 400, 200]
    assert "maximum context length" in frame["words"][1]


def test_a_model_that_the_server_has_not_is_one_line_that_names_those_it_has(
    vllm_server: Server, tmp_path: Path
) -> None:
    with pytest.raises(GroundswellError, match=r"with 404: .*`huge` does not exist.*; it lists tiny$"):
        sent(workload([0.0]), vllm_server, tmp_path, model="huge")
