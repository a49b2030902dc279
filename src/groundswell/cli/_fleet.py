"""The options of a fleet of simulated instances."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import groundswell
from groundswell.cli import _options as take
from groundswell.cli._engine import Engines
from groundswell.errors import UsageError
from groundswell.family import part_names
from groundswell.simulate.limits import MOST_COUNT, MOST_INSTANCES

if TYPE_CHECKING:
    from groundswell.simulate.spec import FleetSpec, Stated

ROUTERS, SCALERS = (
    ", ".join(part_names(Path(str(groundswell.__file__)).parent / name)) for name in ("routing", "scaling")
)

File = Annotated[
    Path | None,
    take.option("The fleet as a TOML file, for pools that differ; examples/fleet.toml shows one.", "FILE", "--fleet"),
]
Instances = Annotated[
    int, typer.Option(metavar="N", min=1, max=MOST_INSTANCES, help="How many; with a scaler at most so many.")
]
Router = Annotated[
    str | None,
    take.option(f"Which instance a request goes to: {ROUTERS}. If not given: jsq.", "ROUTER"),
]
View = Annotated[
    str | None, take.option("The router sees what is in flight as it was up to so long ago. If not given: now.", "TIME")
]
Prefill = Annotated[
    int | None,
    take.option(
        "So many instances read prompts, and others decode.", "N", "--prefill-instances", min=1, max=MOST_INSTANCES
    ),
]
Decode = Annotated[
    int | None, take.option("So many instances decode.", "N", "--decode-instances", min=1, max=MOST_INSTANCES)
]
TransferTime = Annotated[
    str | None, take.option("What it takes to hand a request's keys and values on.", "TIME", "--transfer")
]
TransferToken = Annotated[str | None, take.option("And for each token of its prompt, in s: 2e-6.", "TIME")]
OutageList = Annotated[
    list[str] | None,
    take.option("An instance, counted from 0, that fails: at 5m number 0 for 60s; may be repeated.", "5m,0,60s"),
]
Mtbf = Annotated[str | None, take.option("Instances fail by chance: the mean time between failures of one.", "TIME")]
Mttr = Annotated[str | None, take.option("And the mean time until it is back.", "TIME")]
Tries = Annotated[
    int | None,
    take.option(
        "How often a request is sent at most, if its instances fail. If not given: 3.", "N", min=1, max=MOST_COUNT
    ),
]
Retry = Annotated[str | None, take.option("How long after a failure it is sent anew. If not given: at once.", "TIME")]
Scaler = Annotated[
    str | None,
    take.option(f"What says how many instances run: {SCALERS}. If not given: all do.", "SCALER"),
]
Startup = Annotated[
    str | None, take.option("From when an instance is wanted until it takes requests. If not given: 2m.", "TIME")
]
First = Annotated[
    int | None,
    take.option("How many run at first. If not given: 1.", "N", "--first-instances", min=1, max=MOST_INSTANCES),
]
Least = Annotated[
    int | None, take.option("How many at least. If not given: 1.", "N", "--least-instances", min=1, max=MOST_INSTANCES)
]
Priorities = Annotated[
    list[str] | None,
    take.option("With --policy priority: a client, and its priority, the lowest first; may be repeated.", "CLIENT=N"),
]
Stages = Annotated[
    list[str] | None,
    take.option(
        "What images, audio and video go through before an engine, such as encode:item=30ms,token=2e-5,parallel=1: "
        "time for a request that has any (request), for each item and each token, and how many requests at a time for "
        "each instance, 0 for any number; may be repeated.",
        "STAGE",
    ),
]


@dataclass(frozen=True)
class FleetOptions:
    """How many instances there are, and what is around them (:func:`groundswell.cli._groups.with_options`)."""

    fleet: File = None
    instances: Instances = 1
    router: Router = None
    view: View = None
    prefill: Prefill = None
    decode: Decode = None
    transfer: TransferTime = None
    transfer_token: TransferToken = None
    outage: OutageList = None
    mtbf: Mtbf = None
    mttr: Mttr = None
    tries: Tries = None
    retry: Retry = None
    scaler: Scaler = None
    startup: Startup = None
    first: First = None
    least: Least = None
    stage: Stages = None
    priority: Priorities = None

    def stated(self, engines: Engines) -> Stated:
        """The fleet that these and the engine's options mean. Raises UsageError for what cannot be meant."""
        from groundswell.simulate.spec import Stated

        if self.fleet is None:
            return Stated.of(self._changed(self._own(engines)))
        from groundswell.simulate.fleet_file import read_fleet

        counts = (self.instances, self.prefill, self.decode)
        if engines != Engines() or counts != (FleetOptions.instances, None, None):
            raise UsageError(f"--fleet {self.fleet} says which engines there are: leave out the options of engines")
        return Stated.of(self._changed(read_fleet(self.fleet)), self.fleet.parent)

    def files(self) -> list[Path]:
        """Those that state it: the fleet's, and its pools' profiles."""
        if self.fleet is None:
            return []
        from groundswell.simulate.fleet_file import read_fleet

        profiles = [pool.profile for pool in read_fleet(self.fleet).pool if pool.profile is not None]
        return [self.fleet, *(self.fleet.parent / name for name in profiles)]

    def _own(self, engines: Engines) -> FleetSpec:
        """The pools that options state: one, or one that reads prompts and one that decodes."""
        from groundswell.simulate.spec import FleetSpec

        if (self.prefill is None) != (self.decode is None):
            raise UsageError("--prefill-instances and --decode-instances go together: say how many of both")
        if self.prefill is None or self.decode is None:
            return FleetSpec(pool=(engines.spec(instances=self.instances, name="pool"),))
        if self.instances != FleetOptions.instances:
            raise UsageError("--instances is for a fleet of one kind; say --prefill-instances and --decode-instances")
        return FleetSpec(
            pool=(
                engines.spec(instances=self.prefill, name="prefill", role="prefill"),
                engines.spec(instances=self.decode, name="decode", role="decode"),
            )
        )

    def _changed(self, spec: FleetSpec) -> FleetSpec:
        """``spec`` with what the other options say."""
        import msgspec

        from groundswell.simulate.spec import FailuresSpec, ScalingSpec, TransferSpec

        changes: dict[str, Any] = _given(router=self.router, view=self.view, most_tries=self.tries, retry=self.retry)
        if transfer := _given(request=self.transfer, token=self.transfer_token):
            changes["transfer"] = TransferSpec(**transfer)
        if self.outage:
            changes["outage"] = tuple(map(_outage, self.outage))
        if self.mtbf is not None or self.mttr is not None:
            if self.mtbf is None or self.mttr is None:
                raise UsageError("--mtbf and --mttr go together: how long instances run, and how long they are down")
            changes["failures"] = FailuresSpec(self.mtbf, self.mttr)
        spec = msgspec.structs.replace(spec, **changes)
        if _given(tries=self.tries, retry=self.retry) and not spec.outage and spec.failures is None:
            raise UsageError("--tries and --retry are for instances that fail: --outage, or --mtbf and --mttr")
        changes, scaling = {}, _given(first=self.first, least=self.least, startup=self.startup)
        if self.scaler is not None:
            changes["scaling"] = ScalingSpec(self.scaler, **scaling)
        elif scaling:
            raise UsageError("--startup, --first-instances and --least-instances are for a --scaler")
        if self.priority:
            changes["priority"] = dict(map(_priority, self.priority))
        if self.stage:
            changes["stage"] = tuple(map(_stage, self.stage))
        return msgspec.structs.replace(spec, **changes)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _outage(text: str) -> Any:
    from groundswell.simulate.spec import OutageSpec

    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) != 3 or not pieces[1].isdecimal():
        raise UsageError(f"--outage {text}: say AT,INSTANCE,FOR, such as 5m,0,60s")
    return OutageSpec(pieces[0], int(pieces[1]), pieces[2])


def _priority(text: str) -> tuple[str, int]:
    client, _, number = text.rpartition("=")
    if not client or not re.fullmatch(r"-?\d{1,9}", number):
        raise UsageError(f"--priority {text}: say CLIENT=N with a whole number, such as {client or 'batch'}=1")
    return client, int(number)


def _stage(text: str) -> Any:
    from groundswell.simulate.spec import StageSpec

    name, _, rest = (piece.strip() for piece in text.partition(":"))
    known = ("request", "item", "token", "parallel")
    values: dict[str, Any] = {}
    for piece in filter(None, (piece.strip() for piece in rest.split(","))):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or key not in known or key in values:
            raise UsageError(f"--stage {text}: a stage takes {', '.join(known)}, each once, not {piece!r}")
        values[key] = value
    if not name or not values:
        raise UsageError(f"--stage {text}: say NAME:item=TIME, such as encode:item=30ms")
    if "parallel" in values:
        if not values["parallel"].isdecimal():
            raise UsageError(f"--stage {text}: parallel is a whole number of 0 or more, not {values['parallel']!r}")
        values["parallel"] = int(values["parallel"])
        if values["parallel"] > MOST_COUNT:
            raise UsageError(f"--stage {text}: parallel is at most {MOST_COUNT:,}, or 0 for any number")
    return StageSpec(name, **values)
