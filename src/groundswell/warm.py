"""Compile every kernel once, into the cache beside the code, so that no later run has to wait seconds for it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from groundswell.arrivals import ARRIVALS
from groundswell.clients.client import Client, pool_of
from groundswell.clients.servegen import read_servegen
from groundswell.compose import compose


def warm() -> None:
    """Read a ServeGen folder of one client; compose a few requests of every arrival process in each way there is."""
    with TemporaryDirectory() as folder:
        Path(folder, "chunk-0-trace.csv").write_text("0,1.0,1.0,Gamma,1.0,1.0\n")
        Path(folder, "chunk-0-dataset.json").write_text('{"0": {"input_tokens": "{1: 1.0}"}}')
        read_servegen(folder)
    lengths = {"input_tokens": "lognormal:mean=800,cv=1.5", "output_tokens": "exponential:mean=200"}
    pool = pool_of([Client(name, 0.1, name, lengths) for name in ARRIVALS], span_s=600)
    for counts in ("measured", "renewal"):
        for joint in ("independent", "rank:0.3", "comonotone"):
            compose(pool, counts=counts, joint=joint).collect()
