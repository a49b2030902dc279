"""How long an engine's steps take: profiles by model, processor and parallelism, embedded or of one's own."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from groundswell.errors import DataError, UsageError
from groundswell.simulate.facts import DATA, Model, gpu_of, model_of
from groundswell.simulate.limits import LONGEST_STEP_S
from groundswell.simulate.memory import blocks_that_fit
from groundswell.simulate.parts import Engine, StepCost
from groundswell.simulate.pipeline import pipelined
from groundswell.simulate.profile_file import read_keys, write_keys

OVERHEAD_S = 1e-3
"""What the host adds to a step, where nothing else is said.

Tables of kernels know nothing of the host, which has to schedule a step and to read its tokens. By tables of their
kernels and 1 ms, two measured runs of vLLM 0.19 (Llama-3.1-8B, one processor) are simulated with means of TPOT and
latency that are 3 % off at most. It is a property of the engine's version and of the host
(:mod:`groundswell.simulate.calibrate` finds it): engines of 2023 took up to 26 ms.
"""
MEMORY_SHARE = 0.9
"""What vLLM uses of the memory (``gpu_memory_utilization``; 0.92 by default from version 0.22 on)."""
AS_VLLM = {"resuming": True, "whole_prompts": True, "ahead": True}
"""What vLLM 0.19 does where its options do not say otherwise (:class:`groundswell.simulate.parts.Engine`)."""
_SOURCES = {
    "aiconfigurator": "kernel tables of AIConfigurator 0.12.0 (ai-dynamo/aiconfigurator, Apache-2.0)",
    "llmservingsim": "kernel profiles of LLMServingSim (casys-kaist/LLMServingSim, MIT)",
}
_UNITS = {
    "c0": ("c0_ms", 1e-3),
    "token": ("token_us", 1e-6),
    "hinge": ("hinge_us", 1e-6),
    "decode": ("decode_us", 1e-6),
    "context": ("context_ns", 1e-9),
    "prefill": ("prefill_ps", 1e-12),
    "mixed": ("mixed_ns", 1e-9),
}


@dataclass(frozen=True)
class Profile:
    """What steps cost for a model on ``tp * pp`` processors, and how far that is known.

    ``kernels`` is the processors' part; ``cost`` has the host's with it (``overhead_s`` for any step, and
    ``prompt_host_s``, which those that read prompts take at least), and is what an engine wants. ``error`` and
    ``held_out_error`` are mean absolute relative errors, on the steps that the figures were fitted to and on others.
    ``most_step_tokens`` and ``most_context_tokens`` (of one request) bound where they are known to hold. ``kv_tokens``
    is what the cache holds where that was seen, not computed. With ``pp`` above 1 a step is a round
    (:mod:`groundswell.simulate.pipeline`).

    Raises UsageError for figures that cannot be.
    """

    model: str
    gpu: str
    engine: str
    kernels: StepCost
    tp: int = 1
    pp: int = 1
    source: str = ""
    error: float | None = None
    held_out_error: float | None = None
    most_step_tokens: int | None = None
    most_context_tokens: int | None = None
    kv_tokens: int | None = None
    overhead_s: float = OVERHEAD_S
    prompt_host_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("tp", "pp", "most_step_tokens", "most_context_tokens", "kv_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"a profile's {name} must be 1 or more, not {value}")
        for name in ("error", "held_out_error"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < math.inf:
                raise UsageError(f"a profile's {name} is a share, 0 or more, not {value}")
        for field in fields(StepCost):
            value = getattr(self.kernels, field.name)
            if not 0.0 <= value < math.inf:
                raise UsageError(f"a profile's {field.name} must be 0 or more, not {value}")
        host = {"overhead_s": self.overhead_s, "prompt_host_s": self.prompt_host_s}
        for name, value in {**asdict(self.kernels), **host}.items():
            if name != "hinge_tokens" and LONGEST_STEP_S < value < math.inf:
                raise UsageError(f"a profile's {name} is a time of one step, at most a day, not {value:g} s")
        if not 0.0 < self.kernels.c0_s + self.overhead_s < math.inf:
            raise UsageError(
                f"a step must take some time: c0_s and overhead_s are {self.kernels.c0_s} and {self.overhead_s}"
            )
        if not 0.0 <= self.prompt_host_s < math.inf:
            raise UsageError(f"a profile's prompt_host_s must be 0 or more, not {self.prompt_host_s}")

    @property
    def cost(self) -> StepCost:
        """Of a step, with the host's part."""
        kernels = self.kernels
        least_s = max(kernels.prompt_least_s, self.prompt_host_s)
        return replace(kernels, c0_s=kernels.c0_s + self.overhead_s, prompt_least_s=least_s)

    @property
    def gpus(self) -> int:
        """Processors of an instance; an hour of it is so many GPU-hours."""
        return self.tp * self.pp

    def with_overhead(self, overhead_s: float) -> Profile:
        """The same with another part of the host's."""
        return replace(self, overhead_s=overhead_s)

    def notes(self, most_step_tokens: int, most_context_tokens: int) -> list[str]:
        """What to say of a simulation whose largest step and longest request (prompt and reply) were these: a line for
        each that is beyond what the profile is known for."""
        said = []
        for what, most, known in (
            ("steps had", most_step_tokens, self.most_step_tokens),
            ("requests had contexts of", most_context_tokens, self.most_context_tokens),
        ):
            if known is not None and most > known:
                said.append(
                    f"{what} up to {most:,} tokens; the step times of {self.model} on {self.gpu} are known "
                    f"up to {known:,}, so those beyond are guesses"
                )
        return said

    def configured(self, memory_share: float = MEMORY_SHARE, **options: Any) -> Engine:
        """An engine with these costs, as vLLM is (:data:`AS_VLLM`). ``options`` are :class:`Engine`'s; ``most_tokens``
        is of one batch, of which there are ``pp`` in a round. Without ``blocks`` there are as many as ``kv_tokens`` or
        the memory allow.

        Raises UsageError where the model does not fit, or where nothing says how much memory there is.
        """
        options = AS_VLLM | options
        like = Engine(self.cost, 1, **{name: value for name, value in options.items() if name != "blocks"})
        blocks = options.get("blocks")
        if blocks is None and self.kv_tokens is not None:
            blocks = self.kv_tokens // like.block_tokens
            if blocks < 1:
                raise UsageError(
                    f"not one block of {like.block_tokens:,} tokens (block_size) fits: the profile says that there is "
                    f"memory for {self.kv_tokens:,} (kv_tokens)"
                )
        elif blocks is None:
            blocks = self._blocks(memory_share, like)
        return replace(like, blocks=blocks, most_tokens=like.most_tokens * self.pp)

    def _blocks(self, memory_share: float, like: Engine) -> int:
        try:
            model, gpu = model_of(self.model), gpu_of(self.gpu)
        except UsageError as fault:
            raise UsageError(f"{fault}; a profile of another says how much memory it has with kv_tokens") from None
        sizes = (like.block_tokens, memory_share, like.most_running, like.most_tokens)
        return blocks_that_fit(model, gpu, self.tp, self.pp, *sizes)

    @classmethod
    def read(cls, path: str | Path) -> Profile:
        """A profile from a TOML file. Raises UsageError where there is none, DataError where it says what cannot be."""
        found = read_keys(Path(path))
        try:
            return cls(**found)
        except UsageError as fault:
            raise DataError(f"{path}: {fault}") from fault

    def write(self, path: str | Path) -> None:
        """As a TOML file, which appears when it is whole."""
        write_keys(Path(path), {field.name: getattr(self, field.name) for field in fields(self)})


def profile_of(model: str, gpu: str, tp: int = 1, pp: int = 1) -> Profile:
    """The embedded profile of a model on ``tp * pp`` processors; names in any case, as their makers or as people write
    them. Raises UsageError that lists those known."""
    shape, card = model_of(model), gpu_of(gpu)
    one = _embedded().get((shape.model, card.gpu, tp))
    if one is None:
        raise UsageError(
            f"no step times are known of {shape.model} on {card.gpu} with tp {tp}; of it there are "
            f"{_known_of(shape)}; a profile of your own is a TOML file"
        )
    if pp == 1:
        return one
    kernels = pipelined(one.kernels, shape, card, tp, pp)
    source = f"{one.source}; a pipeline of {pp} stages is computed from it"
    most = None if one.most_step_tokens is None else pp * one.most_step_tokens
    return replace(one, kernels=kernels, pp=pp, source=source, most_step_tokens=most)


def profiles() -> tuple[Profile, ...]:
    """Those embedded, in the order of their table."""
    return tuple(_embedded().values())


def kv_blocks(
    model: str, gpu: str, tp: int = 1, pp: int = 1, block_tokens: int = 16, memory_share: float = MEMORY_SHARE
) -> int:
    """Blocks of keys and values that fit beside a model (:func:`groundswell.simulate.memory.blocks_that_fit`)."""
    return blocks_that_fit(model_of(model), gpu_of(gpu), tp, pp, block_tokens, memory_share)


def engine_of(
    model: str,
    gpu: str,
    tp: int = 1,
    pp: int = 1,
    *,
    overhead_s: float | None = None,
    memory_share: float = MEMORY_SHARE,
    **options: Any,
) -> Engine:
    """An engine of an embedded profile; see :func:`profile_of` and :meth:`Profile.configured`."""
    profile = profile_of(model, gpu, tp, pp)
    if overhead_s is not None:
        profile = profile.with_overhead(overhead_s)
    return profile.configured(memory_share, **options)


def _known_of(model: Model) -> str:
    by_gpu: dict[str, list[str]] = {}
    for name, gpu, tp in _embedded():
        if name == model.model:
            by_gpu.setdefault(gpu, []).append(str(tp))
    return ", ".join(f"{gpu} (tp {', '.join(tps)})" for gpu, tps in by_gpu.items())


@cache
def _embedded() -> dict[tuple[str, str, int], Profile]:
    lines = (DATA / "step_times.csv").read_text("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    made = (_profile(row) for row in rows)
    return {(one.model, one.gpu, one.tp): one for one in made}


def _profile(row: dict[str, str]) -> Profile:
    costs = {f"{name}_s": float(row[column]) * unit for name, (column, unit) in _UNITS.items()}
    return Profile(
        model=row["model"],
        gpu=row["gpu"],
        engine=row["engine"],
        kernels=StepCost(hinge_tokens=float(row["hinge_tokens"]), **costs),
        tp=int(row["tp"]),
        source=_SOURCES[row["source"]],
        error=float(row["error"]),
        held_out_error=float(row["held_out_error"]),
        most_step_tokens=int(row["most_step_tokens"]),
        most_context_tokens=int(row["most_context_tokens"]),
    )
