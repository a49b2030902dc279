"""Runs against transformers serve, which knows little of what others know, and Dynamo, whose packets wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundswell.errors import GroundswellError, UsageError
from groundswell.judge import judge
from real_runs import BLOCK_TOKENS, assert_exact, mixed, sent, sharing, talking
from real_servers import Server
from replaying import workload

pytestmark = pytest.mark.servers

UNKNOWN = {"ignore_eos": None, "min_tokens": None}
"""What transformers serve is not to be asked."""


def test_transformers_lists_no_models_and_the_message_says_what_to_give(
    transformers_server: Server, tmp_path: Path
) -> None:
    with pytest.raises(
        UsageError, match=r"does not say which models it has \(status 500 from /v1/models\): give --model"
    ):
        sent(workload([0.0]), transformers_server, tmp_path)


def test_transformers_refuses_a_length_and_the_message_says_what_to_leave_out(
    transformers_server: Server, tmp_path: Path
) -> None:
    hint = r"""with 422: Unexpected fields .*; --extra-body '{"ignore_eos": null, "min_tokens": null}' leaves out"""
    with pytest.raises(GroundswellError, match=hint):
        sent(workload([0.0]), transformers_server, tmp_path, model=transformers_server.model)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("forced", [{"extra": UNKNOWN}, {"forced": False}], ids=["--extra-body", "--natural-lengths"])
def test_transformers_counts_as_the_workload_does(
    transformers_server: Server, tmp_path: Path, forced: dict[str, Any]
) -> None:
    # There is no [DONE] at a stream's end, and the count of tokens is in the last piece of the answer.
    run = sent(mixed(seed=3), transformers_server, tmp_path, model=transformers_server.model, seed=3, **forced)
    frame = run.results.frame
    assert run.said == []
    assert frame["error"].null_count() == len(run.results)
    assert (run.ints("prompt_tokens") == run.ints("input_tokens")).all()
    assert (run.ints("output_tokens") <= run.ints("asked_tokens")).all()
    assert run.results.totals == {}


def test_transformers_keeps_conversations(transformers_server: Server, tmp_path: Path) -> None:
    run = sent(talking(5, 3), transformers_server, tmp_path, model=transformers_server.model, extra=UNKNOWN)
    frame = run.results.frame
    assert frame["error"].null_count() == len(run.results)
    assert not frame["fresh"].any()
    off = run.ints("prompt_tokens") - run.ints("input_tokens")
    later = frame["turn"].to_numpy() > 1
    assert (off[~later] == 0).all()
    assert (off[later] >= -16).all()
    assert (off[later] <= 32).all()


@pytest.mark.parametrize("target", ["openai_chat", "openai_completions", "openai_completions:ids=1"])
def test_dynamo_counts_as_the_workload_does(dynamo_server: Server, tmp_path: Path, target: str) -> None:
    run = sent(mixed(seed=4), dynamo_server, tmp_path, target=target, seed=len(target))
    assert_exact(run)
    assert run.said == []
    assert run.results.totals["requests"] == len(run.results)
    assert run.results.run["context_tokens"] is None


def test_dynamo_finds_equal_blocks_in_its_cache(dynamo_server: Server, tmp_path: Path) -> None:
    groups, shared = 3, 16
    given = sharing(groups, 5, shared, 2, gap_s=0.1, first_block=5000)
    run = sent(given, dynamo_server, tmp_path, answers="synthetic", seed=5)
    assert_exact(run)
    # Its blocks are of up to 64 tokens, and each model's prompt begins with the template's few.
    assert (run.ints("cached_tokens")[groups:] >= BLOCK_TOKENS * shared - 64).all()
    assert (run.ints("cached_tokens")[:groups] < BLOCK_TOKENS * shared - 64).all()


def test_dynamos_false_40_ms_are_noticed_and_go_with_quick_ack(dynamo_server: Server, tmp_path: Path) -> None:
    wait_s = {}
    for quick_ack in (False, True):
        folder = tmp_path / str(quick_ack)
        folder.mkdir()
        given = workload(np.arange(100) * 0.04, inputs=100, outputs=24)
        run = sent(given, dynamo_server, folder, quick_ack=quick_ack, seed=6 + quick_ack)
        frame = run.results.frame
        assert frame["error"].null_count() == 100
        wait_s[quick_ack] = (frame["first_token_s"] - frame["head_s"]).to_numpy()
        noted = [note for note in judge(run.results).notes if "--quick-ack" in note]
        assert len(noted) == (0 if quick_ack else 1)
    held = {quick_ack: np.mean((waits > 0.039) & (waits < 0.05)) for quick_ack, waits in wait_s.items()}
    assert held[False] > 0.2
    assert held[True] < 0.1
