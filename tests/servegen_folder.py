"""Small folders in the shape that ServeGen publishes its pools in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Window = tuple[float, float, str, float, float]  # rate, CV, family, two parameters
Slots = Mapping[int, Mapping[str, Mapping[Any, float]]]  # by start in seconds, by field: probabilities by value
QUIET: Window = (0, 0, "", 0, 0)


@dataclass(frozen=True)
class Written:
    """One client's files; without slots it has no dataset."""

    windows: Sequence[Window]
    slots: Slots | None = None


PAIR = {
    "chunk-2": Written(
        [(0.5, 2.0, "Gamma", 0.25, 8.0), QUIET, (1.5, 1.25, "Weibull", 0.8, 0.6), (0.02, 1.0, "Gamma", 1.0, 50.0)],
        {
            0: {"input_tokens": {3: 0.25, 8: 0.75}, "output_tokens": {1: 1.0}, "reason_ratio": {0.25: 0.5, 1.0: 0.5}},
            1200: {"input_tokens": {}, "output_tokens": {}, "reason_ratio": {}},
        },
    ),
    "chunk-10": Written([QUIET, (3.0, 0.9, "Gamma", 1.2345, 0.27), QUIET, QUIET]),
}
"""Two clients over four windows of 600 s and two slots of 1200 s; the second has rates and no lengths."""


def write_servegen(folder: Path, clients: Mapping[str, Written] = PAIR, window_s: float = 600) -> Path:
    """Write ``clients`` into ``folder``, which is made, byte for byte in the published shape."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, client in clients.items():
        lines = [",".join([f"{w * window_s:g}", *map(str, window)]) for w, window in enumerate(client.windows)]
        (folder / f"{name}-trace.csv").write_text("".join(f"{line}\r\n" for line in lines), newline="")
        if client.slots is not None:
            literals = {
                str(start): {field: repr(dict(table)) for field, table in fields.items()}
                for start, fields in client.slots.items()
            }
            (folder / f"{name}-dataset.json").write_text(json.dumps(literals, indent=2))
    return folder
