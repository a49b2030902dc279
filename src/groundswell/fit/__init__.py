"""A trace into a pool of clients: each one's rate, burstiness and lengths over time.

One pass over the trace's blocks (:mod:`.fold`) keeps what each client sent in each window and slot. Then clients of few
requests are pooled with others like them (:mod:`.likeness`); where the pool is to be shared, windows, slots and lengths
of few requests are merged too (:mod:`.sharing`); and the rest is written down (:mod:`.pool`, :mod:`.tables`).
"""

from __future__ import annotations

from groundswell.fit.cost import Cost
from groundswell.fit.run import Fitted, fit_pool
from groundswell.fit.setting import FitSetting

__all__ = ["Cost", "FitSetting", "Fitted", "fit_pool"]
