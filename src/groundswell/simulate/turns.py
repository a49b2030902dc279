"""Which request follows which in a conversation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundswell.service import TPOT_S, TTFT_S
from groundswell.simulate.state import Floats
from groundswell.table import Workload

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Turns:
    """Requests of which each is followed by another of its conversation, [T] each."""

    now: Rows
    later: Rows
    think_s: Floats
    """How long the later one waits after the reply: what the workload tells, or else what is left of the time between
    the two after a reply at the nominal speed (:mod:`groundswell.service`)."""

    @classmethod
    def none(cls) -> Turns:
        """Every request comes when it is recorded to."""
        return cls(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))

    @classmethod
    def of(cls, workload: Workload) -> Turns:
        """Those of a workload, in order of conversations and of arrival in each."""
        frame = workload.frame
        if "conversation" not in frame.columns:
            return cls.none()
        talk = frame["conversation"].fill_null(-1).to_numpy()
        rows = np.argsort(talk, kind="stable")
        rows = rows[talk[rows] >= 0]
        follows = np.flatnonzero(talk[rows][1:] == talk[rows][:-1]) + 1
        now, later = rows[follows - 1], rows[follows]
        rest_s = workload.arrival_s[later] - workload.arrival_s[now]
        rest_s = np.maximum(rest_s - TTFT_S - TPOT_S * workload.output_tokens[now], 0.0)
        if "think_s" in frame.columns:
            told = frame["think_s"].fill_null(np.nan).to_numpy()[later]
            rest_s = np.where(np.isnan(told), rest_s, told)
        return cls(now, later, rest_s)
