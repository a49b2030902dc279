"""The findings of both papers on the public traces and on a day of each public pool, as docs/findings.md has them.

python benchmarks/findings.py
"""

from __future__ import annotations

from collections.abc import Iterable

from common import POOLS, data_folder, public_pool, table
from groundswell.characterize.engine import Characterization, characterize
from groundswell.characterize.text import MARKS
from groundswell.compose import compose
from groundswell.formats.reading import read
from groundswell.table import Workload

DAY_S = 86_400.0
MOST_PER_S = 100.0
"""A pool's own rates, scaled down to this mean if theirs is higher."""
TRACES = {
    "Azure code": "azure/AzureLLMInferenceTrace_code.csv",
    "Azure conversation": "azure/AzureLLMInferenceTrace_conv.csv",
    "Mooncake conversation": "mooncake/conversation_trace.jsonl",
}


def workloads() -> Iterable[tuple[str, Iterable[Workload]]]:
    for name, place in TRACES.items():
        yield name, read(data_folder() / place)
    for name in POOLS:
        pool = public_pool(name)
        factor = min(MOST_PER_S / pool.mean_rate_per_s.sum(), 1.0)
        yield f"{name}, a day", compose(pool, f"x{factor}", DAY_S, seed=1)


def main() -> None:
    found: dict[str, Characterization] = {}
    for name, blocks in workloads():
        found[name] = characterize(blocks)
    first = next(iter(found.values()))
    head = ["", *found]
    rows = []
    for i, finding in enumerate(first.findings):
        marks = [MARKS[whole.findings[i].verdict] for whole in found.values()]
        rows.append([f"{finding.key} {finding.statement}", *marks])
    table(head, rows)
    for name, whole in found.items():
        print(f"**{name}: {whole.summary.requests:,} requests**\n")
        table(
            ["", "in this trace", "verdict", "in the paper"],
            [[f.key, f.figure, f.verdict, f.paper] for f in whole.findings if f.figure != "–"],
        )


if __name__ == "__main__":
    main()
