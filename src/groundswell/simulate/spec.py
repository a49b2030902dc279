"""A fleet as people state it, in options or in a file, with the names that vLLM's options have; and the fleet itself.

Times are seconds, or text such as ``30s``; a part's own names are those of :mod:`groundswell.simulate.parts`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct

from groundswell.errors import UsageError
from groundswell.results import Results
from groundswell.routing import ROUTING
from groundswell.scaling import SCALING
from groundswell.simulate.cost import MEMORY_SHARE, Profile, profile_of
from groundswell.simulate.failures import drawn_outages
from groundswell.simulate.fleet import simulate
from groundswell.simulate.limits import LONGEST_S, MOST_BLOCKS, MOST_COUNT, MOST_INSTANCES
from groundswell.simulate.parts import Fleet, Outage, Pool, Role, Scaling, Stage, Transfer
from groundswell.table import Workload
from groundswell.units import counted, parse_duration

Time = float | str
Count = Annotated[int, Meta(ge=1, le=MOST_COUNT)]


def seconds(time: Time) -> float:
    """Of a time as it was stated. Raises UsageError for what is none."""
    found_s = parse_duration(time if isinstance(time, str) else repr(time))
    if found_s > LONGEST_S:
        raise UsageError(f"{time} is longer than 100 years; times of a fleet are at most that")
    return found_s


class PoolSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Engines that are alike: ``model`` on ``gpu`` as far as it is known, or a ``profile`` of one's own, a file."""

    model: str | None = None
    gpu: str | None = None
    tp: Count = 1
    pp: Count = 1
    profile: str | None = None
    overhead: Time | None = None
    instances: Annotated[int, Meta(ge=1, le=MOST_INSTANCES)] = 1
    name: str = ""
    role: Role = "all"
    max_num_seqs: Count = 256
    max_num_batched_tokens: Count = 2048
    block_size: Count = 16
    gpu_memory_utilization: float = MEMORY_SHARE
    num_gpu_blocks: Annotated[int, Meta(ge=1, le=MOST_BLOCKS)] | None = None
    watermark: float = 0.0
    policy: str = "fcfs"
    prefix_caching: bool = True
    async_scheduling: bool = True
    scheduler_reserve_full_isl: bool = True

    def known(self, folder: Path) -> Profile:
        """What its steps cost. Raises UsageError where that is not known."""
        if self.profile is not None:
            if self.model is not None or self.gpu is not None or (self.tp, self.pp) != (1, 1):
                raise UsageError("a profile says what model, gpu, tp and pp are: leave these out beside it")
            found = Profile.read(folder / self.profile)
        elif self.model is None or self.gpu is None:
            raise UsageError("say which model on which GPU (model and gpu), or a profile of your own (profile)")
        else:
            found = profile_of(self.model, self.gpu, self.tp, self.pp)
        return found if self.overhead is None else found.with_overhead(seconds(self.overhead))

    def pool(self, folder: Path, number: int = 0) -> Pool:
        """The pool that it means, which has a number if it has no name."""
        engine = self.known(folder).configured(
            self.gpu_memory_utilization,
            blocks=self.num_gpu_blocks,
            most_running=self.max_num_seqs,
            most_tokens=self.max_num_batched_tokens,
            block_tokens=self.block_size,
            watermark=self.watermark,
            policy=self.policy,
            caching=self.prefix_caching,
            ahead=self.async_scheduling,
            whole_prompts=self.scheduler_reserve_full_isl,
        )
        return Pool(engine, self.instances, self.name or f"pool {number + 1}", self.role)


class StageSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests with items go through before they come to an engine."""

    name: str
    request: Time = 0.0
    item: Time = 0.0
    token: Time = 0.0
    parallel: Annotated[int, Meta(ge=0, le=MOST_COUNT)] = 1

    def stage(self) -> Stage:
        """The stage that it means."""
        return Stage(self.name, seconds(self.request), seconds(self.item), seconds(self.token), self.parallel)


class TransferSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How long keys and values take from an engine that reads prompts to one that decodes."""

    request: Time = 0.0
    token: Time = 0.0

    def transfer(self) -> Transfer:
        """The transfer that it means."""
        return Transfer(seconds(self.request), seconds(self.token))


class OutageSpec(Struct, frozen=True, forbid_unknown_fields=True, rename={"for_": "for"}):
    """An instance that fails at a time, and is back after another."""

    at: Time
    instance: Annotated[int, Meta(ge=0)]
    for_: Time

    def outage(self) -> Outage:
        """The outage that it means."""
        return Outage(seconds(self.at), self.instance, seconds(self.for_))


class FailuresSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Instances that fail by chance: the mean times between failures, and to repair."""

    mtbf: Time
    mttr: Time


class ScalingSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How many of the instances run."""

    scaler: str
    first: Count = 1
    least: Count = 1
    startup: Time = 120.0

    def scaling(self) -> Scaling:
        """The scaling that it means."""
        return Scaling(SCALING.build(self.scaler), self.first, self.least, seconds(self.startup))


class FleetSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    pool: tuple[PoolSpec, ...] = ()
    router: str = "jsq"
    view: Time = 0.0
    stage: tuple[StageSpec, ...] = ()
    transfer: TransferSpec | None = None
    outage: tuple[OutageSpec, ...] = ()
    failures: FailuresSpec | None = None
    scaling: ScalingSpec | None = None
    most_tries: Count = 3
    retry: Time = 0.0
    priority: dict[str, Annotated[int, Meta(ge=-(2**31), lt=2**31)]] = {}
    """Of clients."""


@dataclass(frozen=True)
class Stated:
    """A fleet with what results should say of it. Failures by chance are in it once it is known how long a run is."""

    fleet: Fleet
    about: dict[str, Any]
    profiles: tuple[Profile, ...]
    """Of each pool."""
    failures: tuple[float, float] | None = None
    """The mean times between failures and to repair, in seconds."""

    @classmethod
    def of(cls, spec: FleetSpec, folder: Path = Path()) -> Stated:
        """The fleet that ``spec`` means; its profiles' files are in ``folder``. Raises UsageError for what is none."""
        if not spec.pool:
            raise UsageError("a fleet needs a pool of instances")
        profiles = tuple(pool.known(folder) for pool in spec.pool)
        transfer = spec.transfer if spec.transfer is not None else TransferSpec()
        fleet = Fleet(
            tuple(pool.pool(folder, number) for number, pool in enumerate(spec.pool)),
            ROUTING.build(spec.router),
            seconds(spec.view),
            tuple(stage.stage() for stage in spec.stage),
            transfer.transfer(),
            tuple(outage.outage() for outage in spec.outage),
            None if spec.scaling is None else spec.scaling.scaling(),
            spec.most_tries,
            seconds(spec.retry),
            spec.priority,
        )
        if spec.transfer is not None and all(pool.role == "all" for pool in fleet.pools):
            raise UsageError("a transfer is between pools that read prompts and such that decode; there are none")
        _check_stages([stage.name for stage in spec.stage])
        if spec.scaling is not None:
            _check_counts(spec.scaling, fleet.instances)
        failures = None
        if spec.failures is not None:
            if spec.outage:
                raise UsageError("instances fail at stated times (outage) or by chance (failures), not both")
            failures = seconds(spec.failures.mtbf), seconds(spec.failures.mttr)
            drawn_outages(fleet.instances, *failures, 0.0, 0)  # raises for what cannot be
        return cls(fleet, _about(spec, fleet, profiles), profiles, failures)

    @property
    def model(self) -> str:
        """Of all pools, those that differ with a plus between them."""
        return " + ".join(dict.fromkeys(profile.model for profile in self.profiles))

    def simulate(
        self, workload: Workload, seed: int = 0, turns: Literal["closed", "open"] = "closed", **how: Any
    ) -> Results:
        """What comes of a workload on it (:func:`groundswell.simulate.fleet.simulate`), with what it is told of the
        fleet in its metadata. Instances that fail by chance do so as long as requests arrive."""
        fleet = self.fleet
        if self.failures is not None and len(workload):
            drawn = drawn_outages(fleet.instances, *self.failures, float(workload.arrival_s[-1]), seed)
            fleet = replace(fleet, outages=drawn)
        try:
            results = simulate(workload, fleet, seed, turns, **how)
        except (OSError, MemoryError) as fault:
            if isinstance(fault, OSError) and fault.errno != errno.ENOMEM:
                raise
            raise UsageError(_too_large(fleet)) from None
        return replace(results, metadata={**results.metadata, "run": {**self.about, **results.run}})

    def notes(self, results: Results) -> list[str]:
        """What has to be known of the profiles for what came of a run."""
        ran = (results.frame["error"] != "too long").fill_null(True).to_numpy()
        context = results.floats("prompt_tokens") + results.floats("asked_tokens")
        longest = int(np.max(context[ran], initial=0.0))
        said = self._refused(int(np.sum(~ran)), len(results))
        for pool, profile in zip(self.fleet.pools, self.profiles, strict=True):
            said += profile.notes(pool.engine.most_tokens, min(longest, pool.engine.most_context))
        return list(dict.fromkeys(said))

    def _refused(self, count: int, requests: int) -> list[str]:
        """What to say of so many requests that were too long."""
        if not count:
            return []
        room = " or ".join(f"{most:,}" for most in sorted({pool.engine.most_context for pool in self.fleet.pools}))
        return [
            f"{count:,} of {counted(requests, 'request')} failed as too long: an instance has memory for {room} tokens "
            "of a prompt and its reply"
        ]


def _check_stages(names: Sequence[str]) -> None:
    """Raises UsageError for names that a reader of the results could not tell apart."""
    for name in names:
        if name in _PHASES:
            raise UsageError(f"a stage cannot be called {name!r}, as that is what results call a time of every request")
        if names.count(name) > 1:
            raise UsageError(f"there are {names.count(name)} stages {name!r}: each has a name of its own")


def _check_counts(scaling: ScalingSpec, instances: int) -> None:
    """Raises UsageError where more are to run than there are."""
    for count, what in ((scaling.first, "run at first"), (scaling.least, "run at least")):
        if count > instances:
            raise UsageError(f"{count:,} instances cannot {what}: the fleet has {counted(instances, 'instance')}")


def _too_large(fleet: Fleet) -> str:
    pools = [
        f"{counted(pool.instances, 'instance')} of {pool.engine.blocks:,} blocks of keys and values and "
        f"{pool.engine.most_running:,} requests at a time"
        for pool in fleet.pools
    ]
    return f"out of memory: {' and '.join(pools)} take more than this machine has; simulate fewer of them"


def _about(spec: FleetSpec, fleet: Fleet, profiles: Sequence[Profile]) -> dict[str, Any]:
    """What results say of the fleet: for headings, and all that it would take to state it again."""
    cost = dict.fromkeys(f"{one.source}, {one.engine}" if one.source else one.engine for one in profiles)
    pools = [
        {
            "name": pool.name,
            "instances": pool.instances,
            "role": pool.role,
            "model": one.model,
            "gpu": one.gpu,
            "tp": one.tp,
            "pp": one.pp,
            "overhead_s": one.overhead_s,
            **{name: getattr(pool.engine, name) for name in _ENGINE},
        }
        for pool, one in zip(fleet.pools, profiles, strict=True)
    ]
    return {
        "target": "simulation",
        "model": " + ".join(dict.fromkeys(one.model for one in profiles)),
        "fleet": " + ".join(_hardware(fleet, profiles)),
        "router": spec.router,
        **({"priority": spec.priority} if spec.priority else {}),
        "cost": "; ".join(cost),
        "pools": pools,
    }


_PHASES = ("on the way", "queue", "prefill")
"""Of a request before its first token, beside the stages (:mod:`groundswell.judge.phases`)."""
_ENGINE = (
    "blocks",
    "most_running",
    "most_tokens",
    "block_tokens",
    "watermark",
    "policy",
    "caching",
    "ahead",
    "whole_prompts",
)


def _hardware(fleet: Fleet, profiles: Sequence[Profile]) -> Iterator[str]:
    for pool, one in zip(fleet.pools, profiles, strict=True):
        role = "" if pool.role == "all" else f"{pool.role} "
        each = f"{one.gpus} {one.gpu}" + " each" * (pool.instances > 1)
        yield f"{pool.instances} {role}instance{'s' * (pool.instances > 1)} on {each}"
