"""A workload of many clients with conversations, sent to llama.cpp and vLLM at a rate that they keep, as Markdown.

    python benchmarks/replay_real_servers.py [--minutes 10] [--rate 100] [--only llama.cpp] [--find-s 15]

Both servers run here, on a processor and with a tiny random model; vLLM where GROUNDSWELL_VLLM names its venv
(`make test-vllm` makes it). The rate is the highest that a server keeps for a short while, less a fifth, and at most
`--rate`. It is to be seen that nothing fails at the client, and that the server's own counters say what replies said.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from common import machine, table
from groundswell.judge import judge
from groundswell.judge.figures import ServerTotal
from groundswell.results import Results
from real_servers import Server, in_venvs, tiny_gguf, tiny_model
from real_servers.llama_cpp import MISSING, llama_cpp

CLIENTS = 60
COMMAND = (sys.executable, "-m", "groundswell.cli")
HEADROOM = 0.8
KEPT_S = 1.0
"""A rate is kept if 99 of 100 replies begin at most so long after they were due."""
STEP = 1.3

CLIENT = """
[[client]]
name = "client {number}"
rate = {rate}
arrivals = "gamma:cv={cv}"
[client.lengths]
input_tokens = "lognormal:mean=64,cv=0.8"
output_tokens = "lognormal:mean=12,cv=0.8"
[client.conversation]
turns = "exponential:mean=3"
think_s = "truncated:of=(lognormal:mean=4,cv=1),most=20"
new_tokens = "lognormal:mean=24,cv=0.8"
[client.prefix]
count = 4
tokens = 96
popularity = 1.0
share = 0.3
"""


def write_clients(path: Path) -> Path:
    """Clients whose rates fall as 1/k, every third of them bursty."""
    parts = [CLIENT.format(number=k, rate=1 / k, cv=3.0 if k % 3 == 0 else 1.0) for k in range(1, CLIENTS + 1)]
    path.write_text("".join(parts))
    return path


@dataclass(frozen=True)
class Place:
    """A server, and a folder for what is sent to it and comes back."""

    server: Server
    folder: Path

    def run(self, rate_per_s: float, seconds: float, seed: int) -> Results:
        """What a user's two commands give."""
        workload, results = self.folder / "workload.parquet", self.folder / "results.parquet"
        clients = write_clients(self.folder / "clients.toml")
        told = ("--rate", str(rate_per_s), "--duration", f"{seconds}s", "--seed", str(seed), "--max-context", "1500")
        _call("generate", clients, *told, "-o", workload)
        _call("replay", workload, "--url", self.server.url, "--tokenizer", self.server.folder, "-o", results)
        return Results.read(results)

    def rate(self, most_per_s: float, seconds: float) -> float:
        """The highest rate it keeps for so long, less a fifth, in steps of 1.3 down from ``most_per_s``."""
        rate_per_s = most_per_s / HEADROOM
        for seed in range(1, 20):
            results = self.run(rate_per_s, seconds, 1000 + seed)
            late_s = np.nanquantile(results.floats("first_token_s") - results.floats("due_s"), 0.99)
            print(f"{rate_per_s:.1f} requests/s for {seconds:g} s: TTFT p99 {late_s:.2f} s", flush=True)
            if late_s <= KEPT_S:
                break
            rate_per_s /= STEP
        return rate_per_s * HEADROOM


def _call(*command: object) -> None:
    done = subprocess.run([*COMMAND, *map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode and command[0] != "replay":  # a run that is judged invalid is a result, too
        sys.exit(done.stderr)


def figures(results: Results) -> Iterator[tuple[str, object]]:
    """What there is to say of a run."""
    frame, found = results.frame, judge(results, warm_up_s=0.0, cool_down_s=0.0)
    yield "requests", f"{len(results):,}"
    yield "of conversations' later turns", f"{int((frame['turn'] > 1).sum()):,}"
    yield "client errors", int(frame["error"].is_not_null().sum())
    yield "retried on a fresh connection", int(frame["retried"].sum())
    counters = {total.name: total for total in found.server}
    for name in ("requests", "prompt_tokens", "output_tokens"):
        yield f"{name}, server's counter", beside_ours(counters[name]) if name in counters else "none"
    off = results.floats("prompt_tokens") - results.floats("made_tokens")
    first = frame["turn"].fill_null(1).to_numpy() == 1
    yield "first prompts that the server counts otherwise", int(np.count_nonzero(off[first]))
    yield "later prompts, whose answers it reads again: off by, tokens, mean", float(np.nanmean(np.abs(off[~first])))
    yield "replies off their length", int(np.nansum(results.floats("output_tokens") != results.floats("asked_tokens")))
    totals = results.totals
    yield "preemptions", totals.get("preemptions", "not counted")
    if totals.get("prefix_queries"):
        yield "prompt tokens from the prefix cache", f"{totals['prefix_hits'] / totals['prefix_queries']:.0%}"
    yield "verdict", found.verdict
    for name, unit, scale in (("lag", "ms", 1e3), ("ttft", "ms", 1e3), ("tpot", "ms", 1e3), ("e2e", "ms", 1e3)):
        latency = found.latencies[name]
        yield (
            f"{name} p50 / p90 / p99, {unit}",
            " / ".join(f"{scale * one.value:.3g}" for one in (latency.p50, latency.p90, latency.p99)),
        )


def beside_ours(total: ServerTotal) -> str:
    """A server's counter, what it should be, and whether it is."""
    same = "equal" if total.agrees else "**not equal**"
    rounded = f" to its rounding, {total.rounding:g}" if total.rounding else ""
    return f"{total.server:,.0f}, ours {total.ours:,.0f} ({same}{rounded})"


def servers(only: str | None, model: Path) -> Iterator[tuple[str, AbstractContextManager[Server]]]:
    """Those that are here."""
    if only in (None, "llama.cpp"):
        if MISSING:
            sys.exit(f"no {', '.join(MISSING)}: make install brings them")
        yield "llama.cpp", llama_cpp(tiny_gguf.make(model))
    if only in (None, "vllm"):
        venv = in_venvs.venv_of("vllm")
        if venv is None:
            print(in_venvs.how_to_get("vllm"))
        else:
            yield "vLLM on a processor", in_venvs.vllm(venv, model)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second, at most")
    parser.add_argument(
        "--find-s", type=float, default=15.0, help="seconds of each run that tries a rate; 0: none does"
    )
    parser.add_argument("--only", choices=("llama.cpp", "vllm"))
    asked = parser.parse_args()
    print(f"{machine()}, {asked.minutes:g} min each\n")
    with tempfile.TemporaryDirectory() as scratch:
        model = tiny_model.make(Path(scratch) / "model")
        for name, starting in servers(asked.only, model):
            with starting as server:
                place = Place(server, Path(scratch))
                rate_per_s = place.rate(asked.rate, asked.find_s) if asked.find_s else asked.rate
                results = place.run(rate_per_s, 60 * asked.minutes, seed=1)
                version = results.run.get("version")
                print()
                table([f"{name}{f' {version}' if version else ''}, {rate_per_s:.1f} requests/s", ""], figures(results))


if __name__ == "__main__":
    main()
