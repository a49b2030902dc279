"""``groundswell calibrate``: what an engine's steps cost, fitted to a run against it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundswell.cli import _options as take
from groundswell.cli._engine import Engines
from groundswell.cli._groups import with_options
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from groundswell.results import Results
    from groundswell.simulate.calibrate import Calibrated, Errors
    from groundswell.simulate.cost import Profile

CACHED = 0.02
"""A larger share of prompt tokens from the server's prefix cache is worth a note."""

ResultsFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RESULTS]",
        show_default=False,
        help="What replay wrote of a run against one instance, some 300 requests.",
    ),
]
ProfileFile = Annotated[Path | None, take.option("The profile to write, a TOML file.", "FILE", "--output", "-o")]
KernelFolder = Annotated[
    Path | None,
    take.option(
        "Instead of RESULTS: write the profile that tables of kernels say, a folder with attention.csv, dense.csv and "
        "per_sequence.csv as LLMServingSim measures them (docs/calibrate.md); --model and --gpu name it.",
        "FOLDER",
    ),
]
Layers = Annotated[
    int | None, take.option("How many layers the model of --kernels has. If not given: what is known.", "N", min=1)
]
Seen = Annotated[
    float,
    typer.Option(metavar="SHARE", help="Fit to the first requests, so many; the others tell how good the fit is."),
]


@with_options()
def calibrate(
    *,
    results: ResultsFile = None,
    output: ProfileFile = None,
    engines: Engines,
    kernels: KernelFolder = None,
    layers: Layers = None,
    seen: Seen = 0.5,
    json: take.Json = False,
) -> None:
    """Fit what an engine's steps cost to a run against it, and say how far its simulation is off.

    The run is one of replay, against one instance, with the engine's options as they were there; a few hundred requests
    at a rate that keeps it busy are enough. What was fitted is for the engine's version and the host as well as for the
    GPU.
    """
    from groundswell.whole_file import check_apart, check_place

    if output is not None:
        check_place(output)
        check_apart(output, results, engines.profile, *([] if kernels is None else kernels.glob("*.csv")))
    if kernels is not None:
        if results is not None or output is None:
            raise UsageError(
                "--kernels FOLDER writes a profile (-o FILE), which can then be fitted to RESULTS (--profile)"
            )
        _of_kernels(engines, kernels, layers).write(output)
        print(f"wrote {output}: the kernels' part is measured, the host's is a guess until it is fitted to a run")
        return
    if results is None or layers is not None:
        raise UsageError("say what to fit to: groundswell calibrate RESULTS; --layers is for --kernels")
    from groundswell.characterize.as_json import as_json
    from groundswell.cli._print import note
    from groundswell.results import Results
    from groundswell.simulate.calibrate import calibrate as fitted

    profile, engine = engines.build()
    run = Results.read(results)
    _check_alone(run, results)
    for remark in _others(run, profile):
        note(remark)
    found = fitted(run, profile, engine, seen)
    if output is not None:
        found.profile.write(output)
    if json:
        sys.stdout.write(as_json(found).decode())
    else:
        _say(found, profile)
        if output is not None:
            print(f"\nwrote {output}")


def _check_alone(run: Results, path: Path) -> None:
    """Raises UsageError for a run that is known to be of several instances."""
    instances = run.run.get("instances")
    if isinstance(instances, int) and instances > 1:
        raise UsageError(
            f"{path}: is a run on {instances:,} instances; what steps cost is fitted to one of a single instance"
        )


def _others(run: Results, profile: Profile) -> Iterator[str]:
    """What to say of a run that is of another model or on another GPU than the profile, as far as it tells."""
    from groundswell.simulate.facts import gpu_of, model_of

    pools = run.run.get("pools")
    pool = pools[0] if isinstance(pools, list) and pools and isinstance(pools[0], dict) else run.run
    for what, known, own in (("model", model_of, profile.model), ("gpu", gpu_of, profile.gpu)):
        told = pool.get(what)
        with suppress(UsageError):  # by a name that is nobody's, nothing can be told
            if isinstance(told, str) and known(told) != known(own):
                shown = {"model": "of", "gpu": "on"}[what]
                yield f"the run is {shown} {told}, and what is fitted to it is {shown} {own}"


def _of_kernels(engines: Engines, folder: Path, layers: int | None) -> Profile:
    from groundswell.simulate.kernels import profile_from

    if engines.model is None or engines.gpu is None or engines.profile is not None:
        raise UsageError("--kernels is of a model on a GPU: say which with --model and --gpu, without --profile")
    return profile_from(folder, engines.model, engines.gpu, engines.tp, layers)


def _say(found: Calibrated, before: Profile) -> None:
    from groundswell.cli._print import note, table

    after = found.profile
    scale = math.exp(found.moved.get("scale", 0.0))
    rows = [
        ["host, every step", _ms(before.overhead_s), _ms(after.overhead_s)],
        ["where prompts are read, at least", _ms(before.prompt_host_s), _ms(after.prompt_host_s)],
        ["kernels", "× 1", f"× {scale:.3f}"],
        ["a context, more beside prompts", _beside(before), _beside(after)],
    ]
    print(f"fitted to the first {found.seen.requests} requests:")
    print(table(["", "before", "after"], rows))
    print(f"\nhow far the simulation is off, on the {found.unseen.requests} requests that it did not see:")
    head = ["", "mean TPOT", "mean latency", "mean TTFT", "P99 TTFT"]
    lines = [("before", found.before), ("after", found.unseen), ("after, on those it saw", found.seen)]
    print(table(head, [[name, *_shares(errors)] for name, errors in lines]))
    if found.left_out:
        note(f"{found.left_out} requests that failed are left out; the server may have worked on them all the same")
    if found.cached > CACHED:
        note(
            f"{100 * found.cached:.0f} % of the prompts' tokens came from the server's prefix cache, which the "
            f"simulation does not have: a run without shared beginnings says more"
        )


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"


def _beside(profile: Profile) -> str:
    return f"{100 * profile.kernels.mixed_s / max(profile.kernels.context_s, 1e-30):.0f} %"


def _shares(errors: Errors) -> list[str]:
    return [
        f"{100 * share:+.1f} %" if share == share else "-"
        for share in (errors.mean_tpot, errors.mean_e2e, errors.mean_ttft, errors.p99_ttft)
    ]
