"""``groundswell warm``: the wait of the first run, taken at a time of one's choosing."""

from __future__ import annotations

import time


def warm() -> None:
    """Compile the kernels now, so that the first run need not.

    Once for an installation is enough.
    """
    print("compiling the kernels, once; this takes a minute or two ...", flush=True)
    began_s = time.perf_counter()
    from groundswell.warm import warm as compile_all

    compile_all()
    print(f"ready in {time.perf_counter() - began_s:.0f} s")
