"""How far simulations of measured runs of vLLM are off, on requests that nothing was fitted to, as Markdown tables.

LLMServingSim (casys-kaist/LLMServingSim, MIT) publishes when each of 300 requests to vLLM 0.19 came, had its first
token and ended, on two cards, and how long the kernels take there. Steps begin as the tables of kernels say
(``kernels``) or as the embedded profiles do (``embedded``), with 1 ms of the host's; what is fitted is fitted to the
first 150 requests.

    GROUNDSWELL_DATA=... python benchmarks/simulate_truth.py
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from common import data_folder, machine, table
from groundswell.simulate.calibrate import Calibrated, Errors, calibrate, compared
from groundswell.simulate.cost import Profile
from vllm_runs import CARDS, Run

HEAD = ("", "mean TPOT", "mean latency", "mean TTFT", "P99 TTFT")
SWITCHES: dict[str, dict[str, Any]] = {
    "preempted requests begin from nothing": {"resuming": False},
    "steps are not decided on ahead": {"ahead": False},
    "the first part of a prompt is enough to be admitted": {"whole_prompts": False},
    "none of the three": {"resuming": False, "ahead": False, "whole_prompts": False},
}


def row(name: str, errors: Errors) -> list[str]:
    shares = (errors.mean_tpot, errors.mean_e2e, errors.mean_ttft, errors.p99_ttft)
    return [name, *(f"{100 * share:+.1f} %" for share in shares)]


def fitted(run: Run, base: str) -> Calibrated:
    profile = getattr(run, base)()
    return calibrate(run.results(), profile, run.engine(profile))


def main() -> None:
    data_folder()
    runs = {card: Run(card) for card in CARDS}
    found: dict[tuple[str, str], Calibrated] = {}
    took_s = []
    for base in ("kernels", "embedded"):
        for card, run in runs.items():
            began_s = time.process_time()
            found[card, base] = fitted(run, base)
            took_s.append(time.process_time() - began_s)
    print(f"{machine()}; a calibration takes {min(took_s):.1f} to {max(took_s):.1f} s of a core\n")
    print("The second half of a run, before and after a profile was fitted to the first:\n")
    rows = []
    for (card, base), one in found.items():
        rows.append(row(f"{card}, {base}, before", one.before))
        rows.append(row(f"{card}, {base}, after", one.unseen))
    table(HEAD, rows)
    print("What was fitted:\n")
    rows = []
    for (card, base), one in found.items():
        new = one.profile
        moved = ", ".join(f"{name} {by:+.3g}" for name, by in one.moved.items()) or "nothing"
        host = [f"{1e3 * new.overhead_s:.2f}", f"{1e3 * new.prompt_host_s:.2f}"]
        rows.append([f"{card}, {base}", moved, *host])
    table(("", "moved", "host, ms a step", "with prompts at least, ms"), rows)
    print("The whole of a run, with its card's kernels and the host's part as it was fitted to the other:\n")
    rows = []
    for base in ("kernels", "embedded"):
        for card, other in (CARDS, CARDS[::-1]):
            run, fit = runs[other], found[card, base].profile
            profile: Profile = getattr(run, base)()
            profile = replace(profile, overhead_s=fit.overhead_s, prompt_host_s=fit.prompt_host_s)
            errors = compared(run.results(), profile, run.engine(profile))
            rows.append(row(f"{other}, {base}, host of {card}", errors))
    table(HEAD, rows)
    print("The whole of a run, by its card's kernels and 1 ms, if the engine is not simulated as vLLM is:\n")
    rows = []
    for card, run in runs.items():
        profile = run.kernels()
        rows.append(row(f"{card}, as it is", compared(run.results(), profile, run.engine(profile))))
        for name, how in SWITCHES.items():
            rows.append(row(f"{card}, {name}", compared(run.results(), profile, replace(run.engine(profile), **how))))
    table(HEAD, rows)


if __name__ == "__main__":
    main()
