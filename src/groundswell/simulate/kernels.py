"""Step times from tables of how long an engine's kernels take, as LLMServingSim measures them.

A folder has three CSV files, times in microseconds:

- ``dense.csv``: ``layer,tokens,time_us``, what is done for each token, by the number of tokens in a step;
- ``per_sequence.csv``: ``layer,sequences,time_us``, what is done for each token that is made (scores, sampling);
- ``attention.csv``: ``prefill_chunk,kv_prefill,n_decode,kv_decode,time_us``, one layer's attention for a chunk of a
  prompt behind so many tokens, for requests that decode with a context of so many tokens each, or for both.

A model runs a row of ``dense.csv`` once for each of its layers, ``layernorm`` twice, and ``embedding`` and
``final_layernorm`` once in all; so it does those of ``per_sequence.csv``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import nnls

from groundswell.errors import DataError, UsageError
from groundswell.simulate.cost import Profile
from groundswell.simulate.facts import model_of
from groundswell.simulate.parts import StepCost

ONCE = ("embedding", "final_layernorm")
TWICE = ("layernorm",)
_COLUMNS = {
    "attention": ("prefill_chunk", "kv_prefill", "n_decode", "kv_decode", "time_us"),
    "dense": ("layer", "tokens", "time_us"),
    "per_sequence": ("layer", "sequences", "time_us"),
}
_HINGES = tuple(map(float, range(16, 513, 16)))
"""Where the slope may change: from where on processors are busy and no longer wait for weights."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kernels:
    """The three tables."""

    attention: pl.DataFrame
    dense: pl.DataFrame
    per_sequence: pl.DataFrame

    @classmethod
    def read(cls, folder: str | Path) -> Kernels:
        """From a folder. Raises UsageError where a file is missing, DataError that says what is wrong in it."""
        folder = Path(folder)
        return cls(*(_read(folder / f"{name}.csv", columns) for name, columns in _COLUMNS.items()))


@dataclass(frozen=True)
class Fitted:
    """Coefficients, and how well the form suits the tables: mean absolute relative errors of whole steps that decode,
    that read a prompt, and that do both."""

    cost: StepCost
    decode_error: float
    prompt_error: float
    mixed_error: float

    @property
    def error(self) -> float:
        """The mean of the three."""
        return (self.decode_error + self.prompt_error + self.mixed_error) / 3.0


def from_kernels(
    attention: pl.DataFrame,
    dense: pl.DataFrame,
    per_sequence: pl.DataFrame,
    layers: int,
    most_tokens: int = 2048,
    most_context: float = np.inf,
) -> StepCost:
    """The step times of a model of ``layers`` layers; see :func:`fitted`."""
    return fitted(Kernels(attention, dense, per_sequence), layers, most_tokens, most_context).cost


def fitted(kernels: Kernels, layers: int, most_tokens: int = 2048, most_context: float = np.inf) -> Fitted:
    """Coefficients, in seconds and none below 0, with the least squared error relative to the steps of the tables, up
    to ``most_tokens`` in a step and ``most_context`` in the contexts of those that decode.

    Each comes from the table that speaks of it alone: tokens from dense layers (all sizes weigh as much as twice their
    size does), contexts from attention that only decodes, prompts from attention that only reads them, and from
    attention that does both what that takes more than either. One fit over all rows would give up accuracy in steps
    that decode, which most are, for the many rows that do both.
    """
    dense_s, sampled_s = _dense(kernels.dense, layers), _curve(kernels.per_sequence, "sequences")
    rows = _Rows.of(kernels.attention, layers, dense_s, sampled_s, most_tokens, most_context)
    size = np.unique(np.rint(np.geomspace(1, most_tokens, 200)))
    hinge, any_s, token_s, hinge_s = _hinged(size, dense_s(size))
    made = size[size <= 256]
    (seq_s, each_s), _ = _least((np.ones_like(made), made), sampled_s(made), dense_s(made) + sampled_s(made))
    decodes, reads, both = rows.where(rows.chunk == 0), rows.where(rows.decodes == 0), rows.where(rows.both)
    (call_s, decode_s, context_s), _ = _least(
        (np.ones_like(decodes.context), decodes.decodes, decodes.context), decodes.attention_s, decodes.step_s
    )
    (prompt_s, prefill_s), _ = _least((np.ones_like(reads.pairs), reads.pairs), reads.attention_s, reads.step_s)
    apart_s = prompt_s + prefill_s * both.pairs + decode_s * both.decodes + context_s * both.context
    more = np.maximum(both.attention_s - apart_s, 0.0)
    (both_s, mixed_s), _ = _least((np.ones_like(both.context), both.context), more, both.step_s)
    cost = StepCost(
        c0_s=any_s + seq_s + call_s,
        token_s=token_s,
        hinge_s=hinge_s,
        hinge_tokens=hinge,
        decode_s=each_s + decode_s,
        context_s=context_s,
        prefill_s=prefill_s,
        mixed_s=mixed_s,
        prompt_s=max(prompt_s + both_s - call_s, 0.0),
    )
    return Fitted(cost, *(float(np.abs(kind.told(cost) / kind.step_s - 1).mean()) for kind in (decodes, reads, both)))


def profile_from(
    folder: str | Path,
    model: str,
    gpu: str,
    tp: int = 1,
    layers: int | None = None,
    engine: str = "vllm",
    most_context: float = np.inf,
) -> Profile:
    """A profile of the tables in a folder. Without ``layers``, as many as the model is known to have.

    Its ``error`` is :attr:`Fitted.error`. Raises as :meth:`Kernels.read` does, and UsageError where nothing says how
    many layers there are.
    """
    kernels = Kernels.read(folder)
    if layers is None:
        try:
            layers = model_of(model).layers
        except UsageError as fault:
            raise UsageError(f"{fault}; of another, say how many layers it has") from None
    most_tokens = int(kernels.dense["tokens"].max() or 1)  # type: ignore[arg-type]
    most_each = int(kernels.attention["kv_decode"].max() or 1)  # type: ignore[arg-type]
    found = fitted(kernels, layers, most_tokens, most_context)
    return Profile(
        model=model,
        gpu=gpu,
        engine=engine,
        kernels=found.cost,
        tp=tp,
        source=f"tables of kernels in {Path(folder).resolve().name}",
        error=found.error,
        most_step_tokens=most_tokens,
        most_context_tokens=most_each,
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Steps put together from a table of attention: [n] each."""

    chunk: Floats
    decodes: Floats
    context: Floats
    """Of all that decode together."""
    pairs: Floats
    """chunk · (what was there + chunk / 2)"""
    attention_s: Floats
    """Of all layers."""
    step_s: Floats

    @classmethod
    def of(
        cls, table: pl.DataFrame, layers: int, dense_s: Any, sampled_s: Any, most_tokens: int, most_context: float
    ) -> _Rows:
        chunk, there, decodes, each, time_us = (table[name].to_numpy().astype(float) for name in _COLUMNS["attention"])
        attention_s = layers * time_us * 1e-6
        step_s = dense_s(chunk + decodes) + sampled_s(decodes + (chunk > 0)) + attention_s
        rows = cls(chunk, decodes, decodes * each, chunk * (there + chunk / 2), attention_s, step_s)
        few = (chunk <= most_tokens) & (chunk + decodes > 0)
        return rows.where(few & (rows.context <= most_context))

    @property
    def both(self) -> NDArray[np.bool_]:
        return (self.chunk > 0) & (self.decodes > 0)

    def where(self, keep: NDArray[np.bool_]) -> _Rows:
        """Only some. Raises DataError where there are none."""
        if not keep.any():
            raise DataError("attention.csv must have steps that decode, that read a prompt, and that do both")
        return _Rows(*(getattr(self, name)[keep] for name in _Rows.__dataclass_fields__))

    def told(self, cost: StepCost) -> Floats:
        """What the coefficients say."""
        tokens = self.chunk + self.decodes
        told: Floats = (
            cost.c0_s
            + cost.token_s * tokens
            + cost.hinge_s * np.maximum(0.0, tokens - cost.hinge_tokens)
            + cost.decode_s * self.decodes
            + cost.context_s * self.context
            + cost.prefill_s * self.pairs
            + np.where(self.chunk > 0, cost.prompt_s + cost.mixed_s * self.context, 0.0)
        )
        return told


def _hinged(tokens: Floats, took_s: Floats) -> tuple[float, float, float, float]:
    """(hinge, at 0, slope, more slope behind the hinge)."""

    def misfit(hinge: float) -> float:
        return _least(columns(hinge), took_s, took_s)[1]

    def columns(hinge: float) -> tuple[Floats, ...]:
        return np.ones_like(tokens), tokens, np.maximum(0.0, tokens - hinge)

    best = min(_HINGES, key=misfit)
    at_0, slope, more = _least(columns(best), took_s, took_s)[0]
    return best, at_0, slope, more


def _least(columns: Sequence[Floats], values: Floats, relative_to: Floats) -> tuple[list[float], float]:
    """Coefficients of ``columns``, none below 0, with the least squared error relative to something; its root."""
    matrix = np.stack(columns, axis=1) / relative_to[:, None]
    scale = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
    found, misfit = nnls(matrix / scale, values / relative_to)
    return (found / scale).tolist(), float(misfit)


def _dense(table: pl.DataFrame, layers: int) -> Callable[[Floats], Floats]:
    """How long all dense layers take, in seconds, by tokens."""
    times = pl.when(pl.col("layer").is_in(ONCE)).then(1).when(pl.col("layer").is_in(TWICE)).then(2 * layers)
    return _curve(table.with_columns(pl.col("time_us") * times.otherwise(layers)), "tokens")


def _curve(table: pl.DataFrame, by: str) -> Callable[[Floats], Floats]:
    """The sum over a table's layers, in seconds, with straight lines between its rows."""
    known = [(rows[by].to_numpy(), rows["time_us"].to_numpy()) for _, rows in table.sort(by).group_by("layer")]

    def at(sizes: Floats) -> Floats:
        return np.asarray(1e-6 * sum(np.interp(sizes, size, time_us) for size, time_us in known))

    return at


def _read(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; a folder of kernels has {', '.join(f'{n}.csv' for n in _COLUMNS)}")
    numbers = {name: pl.Float64() for name in columns if name != "layer"}
    try:
        table = pl.read_csv(path, schema_overrides=numbers)
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise DataError(f"{path}: not a table of numbers: {' '.join(str(fault).split())}") from fault
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(f"{path}: line 1: there is no column {', '.join(missing)}; it must have {', '.join(columns)}")
    for name in numbers:
        wrong = (~table[name].is_finite() | (table[name] < 0)).fill_null(True)
        if wrong.any():
            raise DataError(f"{path}: line {2 + int(wrong.arg_max() or 0)}: {name} is not a number of 0 or more")
    return table.select(columns)
