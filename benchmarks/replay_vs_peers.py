"""The same schedules sent to the same mock in C by vLLM's bench, AIPerf, GuideLLM and ``groundswell replay``.

    python benchmarks/replay_vs_peers.py [--seconds 10] [--only vllm] [--busy]

The peers are installed into venvs under the folder that GROUNDSWELL_PEERS names (``~/.cache/groundswell-peers``; 5 GB;
vLLM's is that of ``make test-vllm`` if GROUNDSWELL_VLLM names it), and what is there is used. Each reads the schedule
as ``groundswell convert`` writes it for it, and runs with its own defaults. It waits for a quiet machine before each
run. Lag is by the mock's log of arrivals, from the schedule as shifted so that the promptest request is in time; what
is true of times to first token is what the mock's log of that very run says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import machine, table
from groundswell import formats
from groundswell.serve.control import Mock
from groundswell.serve.trial import Pair
from groundswell.table import Workload
from sent import COMPILER, NO_COMPILER, TESTS, Schedule, Seen, mock_server, ours
from watched import Watched, wait_until_quiet, watched

PEERS = Path(os.environ.get("GROUNDSWELL_PEERS", Path.home() / ".cache" / "groundswell-peers"))
MOST_S = 150.0
"""A peer that takes longer for one run is broken off."""
OURS = "groundswell replay"


@dataclass(frozen=True)
class Peer:
    """A client as its documentation has it used."""

    name: str
    venv: Path
    program: str
    install: Callable[[Path], Sequence[Sequence[str]]]
    """The commands that fill an empty venv."""
    form: str
    """The format that it reads."""
    arguments: Callable[[str, Path, Schedule], Sequence[str]]
    """Given the URL and the folder with ``trace.jsonl`` and ``tokenizer`` in it."""
    reported: Callable[[Path], Pair]
    """The time to first token it reports in that folder, in ms."""

    def installed(self) -> Path:
        program = self.venv / "bin" / self.program
        if not program.exists():
            print(f"installing {self.name} into {self.venv}", file=sys.stderr)
            self.venv.parent.mkdir(parents=True, exist_ok=True)
            for command in self.install(self.venv):
                subprocess.run(command, check=True)
        return program


def pip(*packages: str) -> Callable[[Path], Sequence[Sequence[str]]]:
    return lambda venv: (
        (sys.executable, "-m", "venv", str(venv)),
        (str(venv / "bin" / "pip"), "install", "--quiet", *packages),
    )


def vllm(url: str, folder: Path, schedule: Schedule) -> Sequence[str]:
    return (
        *("bench", "serve", "--backend", "openai", "--base-url", url, "--endpoint", "/v1/completions"),
        *("--model", "mock", "--tokenizer", str(folder / "tokenizer"), "--disable-tqdm"),
        *("--dataset-name", "timed_trace", "--self-timed", "--dataset-path", str(folder / "trace.jsonl")),
        *("--num-prompts", str(schedule.requests)),
        *("--save-result", "--result-dir", str(folder), "--result-filename", "result.json"),
    )


def aiperf(url: str, folder: Path, schedule: Schedule) -> Sequence[str]:
    return (
        *("profile", "--model", "mock", "--url", url, "--endpoint-type", "chat", "--streaming", "--ui", "none"),
        *("--tokenizer", str(folder / "tokenizer"), "--artifact-dir", str(folder)),
        *("--input-file", str(folder / "trace.jsonl"), "--custom-dataset-type", "mooncake-trace", "--fixed-schedule"),
    )


def guidellm(url: str, folder: Path, schedule: Schedule) -> Sequence[str]:
    source = {"kind": "json_file", "path": str(folder / "trace.jsonl")}
    return (
        *("run", "--profile", "kind=replay", "--disable-progress"),
        *("--backend", json.dumps({"kind": "openai_http", "target": url, "model": "mock"})),
        *("--data", json.dumps({"kind": "mooncake", "source": source})),
        *("--tokenizer", json.dumps({"kind": "hf_auto", "model": str(folder / "tokenizer")})),
        *("--output", f"kind=json,path={folder / 'result.json'}"),
    )


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes()))


def vllm_reported(folder: Path) -> Pair:
    found = read(folder / "result.json")
    return found["median_ttft_ms"], found["p99_ttft_ms"]


def aiperf_reported(folder: Path) -> Pair:
    found = read(folder / "profile_export_aiperf.json")["time_to_first_token"]
    return found["p50"], found["p99"]


def guidellm_reported(folder: Path) -> Pair:
    metrics = read(folder / "result.json")["benchmarks"][0]["metrics"]
    found = metrics["time_to_first_token_ms"]["successful"]["percentiles"]
    return found["p50"], found["p99"]


VLLM = Path(os.environ.get("GROUNDSWELL_VLLM", PEERS / "vllm"))
CLIENTS = (
    Peer(
        "vLLM bench 0.32",
        VLLM,
        "vllm",
        lambda venv: ((str(TESTS / "real_servers" / "setup_vllm.sh"), str(venv)),),
        "vllm",
        vllm,
        vllm_reported,
    ),
    Peer("AIPerf 0.13", PEERS / "aiperf", "aiperf", pip("aiperf==0.13"), "aiperf", aiperf, aiperf_reported),
    Peer(
        "GuideLLM 0.8.1",
        PEERS / "guidellm",
        "guidellm",
        pip("guidellm==0.8.1", "torch==2.13.0"),
        "guidellm",
        guidellm,
        guidellm_reported,
    ),
)

HEAD = (
    "client", "req/s kept", "lag p50 / p99, ms", "TTFT p50 / p99 reported, ms", "true, ms", "CPU s", "peak MB",
    "processes", "first request after, s",
)  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The same schedules, sent by peers and by us.")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--only", action="append", help="a word in a client's name; may be given again")
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine, too")
    given = parser.parse_args()
    if COMPILER is None:
        sys.exit(NO_COMPILER)
    chosen = [peer for peer in CLIENTS if not given.only or any(word in peer.name.lower() for word in given.only)]
    programs = {peer: peer.installed() for peer in chosen}
    schedules = [Schedule(rate, 16, 0.02, 0.0, given.seconds) for rate in (500.0, 1000.0)]
    schedules.append(Schedule(500.0, 64, 0.2, 0.02, given.seconds))
    print(f"{machine()}; {given.seconds:g} s each, prompts of 64 tokens\n")
    with tempfile.TemporaryDirectory() as place, mock_server() as mock:
        make_tokenizer(Path(place) / "tokenizer")
        for schedule in schedules:
            wait_until_quiet(busy=given.busy)
            rows = [row_of_ours(mock, schedule, Path(place))]
            for peer, program in programs.items():
                if not given.busy:
                    wait_until_quiet()
                rows.append(row_of_peer(mock, schedule, Path(place), peer, program))
            print(f"Asked: {schedule}\n")
            table(HEAD, rows)


def make_tokenizer(folder: Path) -> None:
    from real_servers import tiny_model

    tiny_model.make(folder)


def row_of_ours(mock: Mock, schedule: Schedule, place: Path) -> list[object]:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        run = ours(mock, schedule, Path(folder))
    said = (run.ttft_s[0] * 1e3, run.ttft_s[1] * 1e3)
    return row(OURS, schedule, run.seen, said, run.taken)


def row_of_peer(mock: Mock, schedule: Schedule, place: Path, peer: Peer, program: Path) -> list[object]:
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        formats.write([Workload.read(schedule.write(folder / "workload.parquet"))], folder / "trace.jsonl", peer.form)
        (folder / "tokenizer").symlink_to(place / "tokenizer")
        schedule.begin(mock)
        output = folder / "output.txt"
        taken = watched(
            [str(program), *peer.arguments(mock.url, folder, schedule)], output, most_s=MOST_S, folder=folder
        )
        try:
            said = peer.reported(folder)
        except (OSError, KeyError, ValueError):
            tail = output.read_text(errors="replace").splitlines()[-5:]
            print(f"{peer.name} ended with {taken.code} and no report:", *tail, sep="\n  ", file=sys.stderr)
            said = (float("nan"), float("nan"))
        return row(peer.name, schedule, Seen.of(mock, schedule), said, taken)


def row(name: str, schedule: Schedule, seen: Seen, said_ms: Pair, taken: Watched) -> list[object]:
    came = seen.log.size
    short = "" if came == schedule.requests else f" ({came:,} of {schedule.requests:,} came)"
    short += ", broken off" if taken.code < 0 else ""
    if not came:
        return [name, f"none{short}", *[""] * (len(HEAD) - 2)]
    return [
        name,
        f"{seen.kept_per_s:,.0f}{short}",
        shown(*(1e3 * value for value in seen.lag_s(schedule.due_s))),
        shown(*said_ms),
        shown(*(1e3 * value for value in seen.ttft_s)),
        f"{taken.cpu_s:.1f}",
        f"{taken.peak_mb:,.0f}",
        taken.processes,
        f"{(seen.log['arrival_ns'][0] - taken.begin_ns) * 1e-9:.1f}",
    ]


def shown(median: float, far: float) -> str:
    return f"{median:,.4g} / {far:,.4g}"


if __name__ == "__main__":
    main()
