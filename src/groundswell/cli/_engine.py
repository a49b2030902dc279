"""The options of verbs that simulate engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundswell.cli import _options as take
from groundswell.errors import UsageError
from groundswell.simulate.limits import MOST_BLOCKS, MOST_COUNT

if TYPE_CHECKING:
    from groundswell.simulate.cost import Profile
    from groundswell.simulate.parts import Engine
    from groundswell.simulate.spec import PoolSpec


@dataclass(frozen=True)
class Engines:
    """Which engine, on what, and how it is set (:func:`groundswell.cli._groups.with_options`)."""

    model: Annotated[str | None, take.option("The model, such as qwen2.5-14b.", "NAME")] = None
    gpu: Annotated[str | None, take.option("The GPU, such as a100 or h100.", "NAME")] = None
    tp: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_COUNT, help="GPUs that share each layer (tensor parallelism).")
    ] = 1
    pp: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_COUNT, help="Stages of layers (pipeline parallelism).")
    ] = 1
    profile: Annotated[
        Path | None, take.option("A profile of step times of your own (TOML), instead of --model and --gpu.", "FILE")
    ] = None
    overhead: Annotated[
        str | None,
        take.option("What the host adds to a step, such as 1ms. If not given: what the profile says.", "TIME"),
    ] = None
    max_num_seqs: Annotated[
        int,
        typer.Option("--max-num-seqs", metavar="N", min=1, max=MOST_COUNT, help="Most requests that run at a time."),
    ] = 256
    max_batched_tokens: Annotated[
        int, typer.Option("--max-num-batched-tokens", metavar="N", min=1, max=MOST_COUNT, help="Most tokens of a step.")
    ] = 2048
    kv_blocks: Annotated[
        int | None,
        take.option(
            "Blocks of keys and values. If not given: what fits into the GPUs' memory.", "N", min=1, max=MOST_BLOCKS
        ),
    ] = None
    block_size: Annotated[
        int, typer.Option(metavar="TOKENS", min=1, max=MOST_COUNT, help="Tokens of a block of keys and values.")
    ] = 16
    gpu_memory_utilization: Annotated[
        float, typer.Option(metavar="SHARE", min=0.01, max=1.0, help="What of the GPUs' memory the engine may use.")
    ] = 0.9
    watermark: Annotated[
        float, typer.Option(metavar="SHARE", min=0.0, max=0.99, help="Share of blocks that an admission leaves free.")
    ] = 0.0
    policy: Annotated[str, typer.Option(metavar="POLICY", help="Who is admitted first: fcfs, or another policy.")] = (
        "fcfs"
    )
    prefix_cache: Annotated[
        bool,
        typer.Option(
            "--prefix-cache/--no-prefix-cache", help="Whether beginnings that prompts share are computed once."
        ),
    ] = True
    async_scheduling: Annotated[
        bool,
        typer.Option(
            "--async-scheduling/--no-async-scheduling",
            help="Whether a step is decided on while the one before runs.",
        ),
    ] = True
    reserve_prompts: Annotated[
        bool,
        typer.Option(
            "--scheduler-reserve-full-isl/--no-scheduler-reserve-full-isl",
            help="Whether an admission needs memory for the whole prompt.",
        ),
    ] = True

    def build(self) -> tuple[Profile, Engine]:
        """The profile of step times, and an engine that has it. Raises UsageError for what there is not."""
        spec = self.spec()
        return spec.known(Path()), spec.pool(Path()).engine

    def spec(self, **more: Any) -> PoolSpec:
        """The pool that these options state; ``more`` is what they do not say of it."""
        from groundswell.simulate.spec import PoolSpec

        if self.profile is not None:
            if self.model is not None or self.gpu is not None:
                raise UsageError("--profile says what --model and --gpu would; give the one or the others")
        elif self.model is None or self.gpu is None:
            raise UsageError("say which engine: --model and --gpu (and --tp), or --profile FILE")
        return PoolSpec(
            model=self.model,
            gpu=self.gpu,
            tp=self.tp,
            pp=self.pp,
            profile=None if self.profile is None else str(self.profile),
            overhead=self.overhead,
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_batched_tokens,
            block_size=self.block_size,
            gpu_memory_utilization=self.gpu_memory_utilization,
            num_gpu_blocks=self.kv_blocks,
            watermark=self.watermark,
            policy=self.policy,
            prefix_caching=self.prefix_cache,
            async_scheduling=self.async_scheduling,
            scheduler_reserve_full_isl=self.reserve_prompts,
            **more,
        )
