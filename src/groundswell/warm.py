"""Compile every kernel once, into the cache beside the code, so that no later run has to wait seconds for it."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from groundswell.arrivals import ARRIVALS
from groundswell.clients.client import Client, pool_of
from groundswell.clients.servegen import read_servegen
from groundswell.compose import compose
from groundswell.summary import Summary

LENGTHS = {
    "input_tokens": "lognormal:mean=800,cv=1.5",
    "output_tokens": "exponential:mean=200",
    "reason_ratio": "empirical:values=(0.2,0.8)",
    "image_count": "zipf:exponent=2,most=8",
    "image_tokens": "lognormal:mean=500,cv=0.5",
}


def warm() -> None:
    """Read a tiny folder, compose a few requests of every arrival process in each way there is, and sum them up."""
    with TemporaryDirectory() as folder:
        _read(Path(folder))
    pool = pool_of([Client(name, 3.0, name, LENGTHS) for name in ARRIVALS], span_s=600)
    for counts in ("measured", "renewal"):
        for joint in ("independent", "rank:0.3", "comonotone"):
            for block in compose(pool, counts=counts, joint=joint, block_rows=1_000):  # parts of a window, too
                Summary.of(block)


def _read(folder: Path) -> None:
    """Read a pool of one client and one window."""
    (folder / "chunk-0-trace.csv").write_text("0,1.0,1.5,Gamma,0.44,2.25\n", encoding="utf-8")
    slot = {"input_tokens": "{10: 0.5, 20: 0.5}", "output_tokens": "{5: 1.0}"}
    (folder / "chunk-0-dataset.json").write_text(json.dumps({"0": slot}), encoding="utf-8")
    read_servegen(folder)
