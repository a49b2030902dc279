"""What a fleet is made of: engines, pools of them, what comes before them and between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from groundswell.errors import UsageError
from groundswell.routing import ROUTING, Router
from groundswell.scaling import Scaler
from groundswell.simulate.state import POOL
from groundswell.simulate.waiting import POLICIES
from groundswell.units import counted

Role = Literal["all", "prefill", "decode"]


@dataclass(frozen=True)
class StepCost:
    """How long a step of an engine takes, in seconds (:func:`groundswell.simulate.step.step_s`).

    With N tokens in the step, D requests that decode, K tokens of their contexts and P the sum over the prompts' chunks
    of chunk · (what was there + chunk / 2): ``c0 + token·N + hinge·max(0, N - hinge_tokens) + decode·D + context·K +
    prefill·P``, and ``mixed·K`` more where there are both. A step that reads prompts takes ``prompt`` more, as it does
    not run as one recorded graph, and ``prompt_least`` at least: the host launches its kernels one by one meanwhile.
    """

    c0_s: float
    token_s: float = 0.0
    hinge_s: float = 0.0
    hinge_tokens: float = 0.0
    decode_s: float = 0.0
    context_s: float = 0.0
    prefill_s: float = 0.0
    mixed_s: float = 0.0
    prompt_s: float = 0.0
    prompt_least_s: float = 0.0


@dataclass(frozen=True)
class Engine:
    """An engine as vLLM v1 is configured: its memory in blocks, its limits, and what a step costs.

    ``most_running`` is ``max_num_seqs``, ``most_tokens`` ``max_num_batched_tokens``, ``block_tokens`` ``block_size``.
    ``watermark`` is the share of the blocks that an admission must leave free. Raises UsageError for an engine that
    cannot be.

    Three things that newer engines do decide who waits how long: ``ahead`` (vLLM's ``async_scheduling``) is to decide
    on a step while the one before still runs, so that whoever comes then is in the one after it; ``whole_prompts``
    (``scheduler_reserve_full_isl``) is to admit only where there is memory for all of a prompt, not for the part that
    is read first; with ``resuming``, where there is ``caching`` (``enable_prefix_caching``), whoever was preempted
    finds its keys and values again, from the first token on, as far as nobody has needed their place.
    """

    cost: StepCost
    blocks: int
    most_running: int = 256
    most_tokens: int = 2048
    block_tokens: int = 16
    watermark: float = 0.0
    policy: str = "fcfs"
    caching: bool = True
    resuming: bool = False
    whole_prompts: bool = False
    ahead: bool = False

    def __post_init__(self) -> None:
        for name in ("blocks", "most_running", "most_tokens", "block_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"an engine's {name} must be 1 or more, not {getattr(self, name)}")
        if self.most_running > self.most_tokens:
            raise UsageError(
                f"an engine whose steps have {counted(self.most_tokens, 'token')} cannot run {self.most_running:,} "
                "requests at a time, as each takes one"
            )
        if self.policy not in POLICIES:
            raise UsageError(f"an engine has no policy {self.policy!r}; it has {', '.join(POLICIES)}")
        if not 0.0 <= self.watermark < 1.0:
            raise UsageError(f"an engine's watermark is a share of its blocks, from 0 to less than 1: {self.watermark}")

    @property
    def most_context(self) -> int:
        """The longest request, prompt and reply, for which there is memory."""
        return (self.blocks - self._watermark_blocks) * self.block_tokens

    @property
    def _watermark_blocks(self) -> int:
        return int(np.ceil(self.watermark * self.blocks))

    def record(self, name_blocks: int) -> Any:
        """For compiled code; a named block of the workload is so many of its blocks."""
        made = np.zeros((), POOL)
        for name in ("most_running", "most_tokens", "block_tokens", "caching", "whole_prompts", "ahead"):
            made[name] = getattr(self, name)
        made["resuming"] = self.resuming and self.caching
        made["name_blocks"], made["watermark"] = name_blocks, self._watermark_blocks
        made["policy"] = POLICIES.index(self.policy)
        for name in StepCost.__dataclass_fields__:
            made[name] = getattr(self.cost, name)
        return made


@dataclass(frozen=True)
class Pool:
    """Engines that are alike. With role "prefill" they read prompts and make the first token, with "decode" they make
    the others, with "all" both."""

    engine: Engine
    instances: int
    name: str = "pool"
    role: Role = "all"

    def __post_init__(self) -> None:
        if self.instances < 1:
            raise UsageError(f"pool {self.name!r} needs 1 instance or more, not {self.instances}")


@dataclass(frozen=True)
class Stage:
    """What a request goes through before it comes to an engine, as images are fetched, normalised and encoded.

    It takes ``request_s``, and ``item_s`` and ``token_s`` for each item and each of its tokens; requests without items
    pass. At most ``parallel`` requests for each instance are in it at a time, 0 for any number.
    """

    name: str
    request_s: float = 0.0
    item_s: float = 0.0
    token_s: float = 0.0
    parallel: int = 1

    def __post_init__(self) -> None:
        for name in ("request_s", "item_s", "token_s", "parallel"):
            if not 0 <= getattr(self, name) < np.inf:
                raise UsageError(f"stage {self.name!r}: {name} must be 0 or more, not {getattr(self, name)}")


@dataclass(frozen=True)
class Transfer:
    """How long keys and values take from an engine that reads prompts to one that decodes."""

    request_s: float = 0.0
    token_s: float = 0.0


@dataclass(frozen=True)
class Outage:
    """Instance ``instance`` fails at ``at_s`` and takes requests again ``down_s`` later; what it had is lost."""

    at_s: float
    instance: int
    down_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.at_s < np.inf and 0 < self.down_s < np.inf):
            raise UsageError(
                f"an outage begins at a time of 0 or more and lasts for more than 0, not at {self.at_s:g} s for "
                f"{self.down_s:g} s"
            )


@dataclass(frozen=True)
class Scaling:
    """How many of a fleet's instances run: ``first`` at first, at least ``least``, and as many as ``scaler`` wants. An
    instance takes requests ``startup_s`` after it was wanted; one that is not wanted any more ends what it has."""

    scaler: Scaler
    first: int = 1
    least: int = 1
    startup_s: float = 120.0

    def __post_init__(self) -> None:
        if self.first < 0 or self.least < 1 or not 0 <= self.startup_s < np.inf:
            raise UsageError(
                f"a fleet that is scaled has 1 instance or more at least, begins with 0 or more, and each starts for "
                f"0 s or more, not {self.least}, {self.first} and {self.startup_s:g} s"
            )


@dataclass(frozen=True)
class Fleet:
    """Pools of engines behind a router.

    Routers see what is in flight as it was at most ``view_s`` ago. Requests whose instance fails are sent anew after
    ``retry_s``, at most ``most_tries`` times in all. Engines whose policy is "priority" first admit requests of clients
    with a lower one of ``priorities``; who is not named has 0.
    """

    pools: tuple[Pool, ...]
    router: Router = field(default_factory=lambda: ROUTING.build("jsq"))
    view_s: float = 0.0
    stages: tuple[Stage, ...] = ()
    transfer: Transfer = Transfer()
    outages: tuple[Outage, ...] = ()
    scaling: Scaling | None = None
    most_tries: int = 3
    retry_s: float = 0.0
    priorities: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.priorities and all(pool.engine.policy != "priority" for pool in self.pools):
            raise UsageError("clients have priorities, and no engine heeds them: its policy would be priority")
        roles = [pool.role for pool in self.pools]
        if roles != sorted(roles, key=("prefill", "all", "decode").index):
            raise UsageError("pools that only decode come behind those that read prompts")
        if ("prefill" in roles) != ("decode" in roles) or ("all" in roles and len(set(roles)) > 1):
            raise UsageError(
                "a fleet has pools that do everything, or both such that read prompts and such that decode"
            )
        if len({pool.engine.block_tokens for pool in self.pools}) > 1:
            raise UsageError("the engines of a fleet must have blocks of the same number of tokens")
        if self.scaling is not None and len(self.pools) > 1:
            raise UsageError(
                f"a fleet is scaled as one pool, not as {len(self.pools)}: nothing says which of them grows"
            )
        _check_outages(self.outages, self.instances)

    @property
    def instances(self) -> int:
        """Over all pools."""
        return sum(pool.instances for pool in self.pools)


def _check_outages(outages: Sequence[Outage], instances: int) -> None:
    """Raises UsageError for an outage of an instance that is not there, or that fails while it is down."""
    ends_s: dict[int, float] = {}
    for outage in sorted(outages, key=lambda outage: outage.at_s):
        i = outage.instance
        if not 0 <= i < instances:
            raise UsageError(f"there is no instance {i} that could fail: the {instances} are counted from 0")
        if outage.at_s < ends_s.get(i, 0.0):
            raise UsageError(f"instance {i} fails at {outage.at_s:g} s, while it is down until {ends_s[i]:g} s")
        ends_s[i] = outage.at_s + outage.down_s
