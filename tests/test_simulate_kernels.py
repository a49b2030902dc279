"""Step times from tables of kernels."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from groundswell.errors import DataError, UsageError
from groundswell.simulate.kernels import Kernels, fitted, from_kernels, profile_from
from groundswell.simulate.parts import StepCost
from kernel_tables import COST, LAYERS, write
from vllm_runs import CARDS, Run, needs_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "kernels")
    return tmp_path / "kernels"


def test_steps_that_have_the_form_are_found_as_they_are(folder: Path) -> None:
    kernels = Kernels.read(folder)
    cost = from_kernels(kernels.attention, kernels.dense, kernels.per_sequence, LAYERS)
    for name in StepCost.__dataclass_fields__:
        assert getattr(cost, name) == pytest.approx(getattr(COST, name), rel=0.02), name


def test_its_errors_are_those_of_whole_steps(folder: Path) -> None:
    found = fitted(Kernels.read(folder), LAYERS)
    assert max(found.decode_error, found.prompt_error, found.mixed_error) < 0.005
    rows = Kernels.read(folder).attention.with_columns(
        pl.when(pl.col("prefill_chunk") == 0).then(pl.col("time_us")).otherwise(pl.col("time_us") * 2)
    )
    doubled = fitted(Kernels(rows, *(getattr(Kernels.read(folder), n) for n in ("dense", "per_sequence"))), LAYERS)
    assert doubled.decode_error == pytest.approx(found.decode_error)
    assert doubled.cost.prefill_s == pytest.approx(2 * COST.prefill_s, rel=0.02)


def test_contexts_beyond_the_memory_are_left_out(folder: Path) -> None:
    """Where a table bends is no matter if no step gets there."""
    kernels = Kernels.read(folder)
    bent = kernels.attention.with_columns(
        pl.when(pl.col("n_decode") * pl.col("kv_decode") > 70_000)
        .then(pl.col("time_us") * 3)
        .otherwise(pl.col("time_us"))
    )
    found = fitted(Kernels(bent, kernels.dense, kernels.per_sequence), LAYERS, most_context=70_000)
    assert found.cost.context_s == pytest.approx(COST.context_s, rel=0.02)
    assert found.decode_error < 0.005


def test_a_profile_of_a_folder_says_where_it_is_from_and_how_far_it_holds(folder: Path) -> None:
    profile = profile_from(folder, "mine-9b", "my card", tp=2, layers=LAYERS)
    assert (profile.model, profile.gpu, profile.tp) == ("mine-9b", "my card", 2)
    assert (profile.most_step_tokens, profile.most_context_tokens) == (2048, 4096)
    assert "kernels" in profile.source
    assert profile.error is not None
    assert profile.error < 0.005
    assert profile_from(folder, "llama-3.1-8b", "rtx4090").kernels.token_s == pytest.approx(
        3.2 * COST.token_s, rel=0.02
    )
    with pytest.raises(UsageError, match=r"no model 'mine-9b'.*how many layers"):
        profile_from(folder, "mine-9b", "my card")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "dense",
            "tokens",
            "size",
            r"dense.csv: line 1: there is no column tokens; it must have layer, tokens, time_us",
        ),
        ("dense", "product,1,", "product,-1,", r"dense.csv: line 2: tokens is not a number of 0 or more"),
        ("per_sequence", "scores,16,58.0", "scores,16,", r"per_sequence.csv: line 3: time_us is not a number"),
        ("per_sequence", "scores,16,58.0", "scores,16,slow", r"per_sequence.csv: not a table of numbers"),
    ],
)
def test_what_is_wrong_in_a_table_is_told_with_its_line(
    folder: Path, file: str, old: str, new: str, words: str
) -> None:
    path = folder / f"{file}.csv"
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(DataError, match=words):
        Kernels.read(folder)


def test_a_table_that_is_missing_is_named(folder: Path) -> None:
    (folder / "dense.csv").unlink()
    with pytest.raises(UsageError, match=r"dense.csv: no such file; a folder of kernels has attention.csv, dense.csv"):
        Kernels.read(folder)


def test_all_kinds_of_steps_must_be_there(folder: Path) -> None:
    kernels = Kernels.read(folder)
    alone = kernels.attention.filter((pl.col("prefill_chunk") == 0) | (pl.col("n_decode") == 0))
    with pytest.raises(
        DataError, match=r"attention.csv must have steps that decode, that read a prompt, and that do both"
    ):
        fitted(Kernels(alone, kernels.dense, kernels.per_sequence), LAYERS)


@needs_runs
@pytest.mark.parametrize("card", CARDS)
def test_measured_tables_are_met_best_where_engines_are_most_of_the_time(card: str) -> None:
    """A straight line with one bend is no more than a tenth off for prompts, and 2.5 % for steps that decode."""
    run = Run(card)
    folder = run.folder.parents[1] / "latency" / "profiles" / f"{card.upper()}_meta-llama_Llama-3.1-8B_bf16_tp1"
    engine = run.engine(run.embedded())
    found = fitted(Kernels.read(folder), 32, most_context=engine.blocks * engine.block_tokens)
    assert found.decode_error < 0.025
    assert found.prompt_error < 0.11
    assert found.mixed_error < 0.09
