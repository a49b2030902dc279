"""From placed requests to a block of a workload: their times, their order, their lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.compose import kernels
from groundswell.compose.begun import BEGUN, identify
from groundswell.compose.geometry import Geometry
from groundswell.compose.parts import Placed
from groundswell.compose.sources import LengthSource
from groundswell.compose.talks import Talks
from groundswell.compose.turn_rows import Begun, Block, rows_of
from groundswell.errors import UsageError
from groundswell.table import Workload

_ITEM_STREAM = 12  # word of a request from which the sizes of its first kind of item are drawn


@dataclass(frozen=True)
class Joint:
    """How input and output lengths of one client hang together."""

    mode: int
    correlation: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Joint:
        """``independent``, ``rank:0.4`` (Spearman's correlation, by a Gaussian copula) or ``comonotone``.

        >>> Joint.parse("comonotone").mode == kernels.COMONOTONE
        True
        """
        if text == "independent":
            return cls(kernels.INDEPENDENT)
        if text == "comonotone":
            return cls(kernels.COMONOTONE)
        kind, _, value = text.partition(":")
        try:
            rho = float(value)
        except ValueError:
            rho = np.nan
        if kind != "rank" or not -1.0 <= rho <= 1.0:
            raise UsageError(f"joint {text!r} is none of independent, comonotone, rank:<rho> with rho from -1 to 1")
        return cls(kernels.RANKED, 2.0 * np.sin(np.pi * rho / 6.0))  # Pearson of the normals behind Spearman's rho


@dataclass(frozen=True, eq=False)
class Senders:
    """For each piece: its client, its window of the run, and the key of its lengths; how many requests it has, if that
    is known and not 0, and how far their circle is turned.
    """

    client: NDArray[np.int32]
    window: NDArray[np.int64]
    key: NDArray[np.uint64]
    count: NDArray[np.int64]
    phase: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Renderer:
    """Makes blocks of one run."""

    names: tuple[str, ...]
    geometry: Geometry
    source: LengthSource
    joint: Joint
    talks: Talks | None = None

    def block(self, placed: Placed, senders: Senders, until_s: float) -> Block:
        """The requests of ``placed``, and those that follow on them; the next block begins at ``until_s``."""
        g = self.geometry
        time = np.empty(placed.u.size)
        kernels.times(placed.u, placed.of, senders.window, g.knot_s, g.integral, g.left, g.slope, g.piece, time)
        slot = g.slot[senders.window]
        if self.talks is not None:
            going_on = self.talks.may_last(placed.of, placed.number, senders.key, senders.client, slot, time)
            if not going_on.all():
                placed, time = placed[going_on], time[going_on]
        arrival_s, rank = np.empty(time.size), np.empty(time.size, np.int32)
        if time.size:
            begin, end = float(time.min()), float(time.max())
            kernels.ranks(time, begin, max(end, np.nextafter(begin, np.inf)), arrival_s, rank)
            np.minimum(arrival_s, np.nextafter(g.duration_s, 0.0), out=arrival_s)
        borrows = self.source.borrows[senders.client]
        donor_of = np.where(borrows, slot, -1)
        table = np.ascontiguousarray(self.source.number[senders.client, slot])
        sender = np.empty(time.size, np.uint32)
        drawn = np.empty((len(self.source.fields), time.size), np.float32)
        drawing = self.source.tables.drawing
        kernels.lengths(
            placed.of, placed.number, rank, senders.client, senders.key, table, donor_of, self.source.lends,
            self.source.lent, *drawing, self.joint.mode, self.joint.correlation, sender, drawn,
        )  # fmt: skip
        field = dict(zip(self.source.fields, drawn, strict=True))
        output = field["output_tokens"].astype(np.int32)
        reason = None
        if "reason_ratio" in field:
            reason = np.rint(np.maximum(field["reason_ratio"], 0) * output).astype(np.int32)
        items: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
        for k, modality in enumerate(self.source.modalities):
            count = np.maximum(field[f"{modality}_count"], 0).astype(np.int64)
            offset = np.concatenate([[0], np.cumsum(count)])
            size = np.empty(offset[-1], np.float32)
            column = self.source.fields.index(f"{modality}_tokens")
            kernels.items(
                placed.of, placed.number, rank, senders.key, offset, _ITEM_STREAM + k, np.ascontiguousarray(table[:,
                column]), donor_of, self.source.lends, np.ascontiguousarray(self.source.lent[:, :, column]), *drawing,
                size,
            )  # fmt: skip
            items[f"{modality}_tokens"] = (count, size.astype(np.int32))
        prompt = field["input_tokens"].astype(np.int32)
        if self.talks is None:
            plain = Workload.from_columns(arrival_s, sender, self.names, prompt, output, reason, items)
            return Block(plain, None, until_s)
        conversation = np.empty(time.size, BEGUN)
        window = np.where(senders.window < g.known, -1, g.window[senders.window])
        identify(
            placed.of, placed.number, rank, senders.key, slot, window, senders.count, senders.phase, conversation
        )  # fmt: skip
        begun = np.stack([prompt, output, np.zeros_like(output) if reason is None else reason])
        turns = self.talks.unfold(sender, conversation, arrival_s, g.start_s, begun, g.duration_s)
        first = Begun(sender, conversation["key"], self.talks.converses[sender], items)
        reasons = reason is not None or self.talks.reasons
        return rows_of(turns, first, self.names, until_s, reasons=reasons, blocks=bool(self.talks.talking.block_tokens))
