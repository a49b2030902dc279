"""The fit as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from groundswell.clients import ClientPool
from groundswell.errors import DataError
from groundswell.fit.cost import Cost, costs
from groundswell.fit.fold import HELD_AS_SESSIONS, LEFT_BEHIND, Fold
from groundswell.fit.joint import rank_correlation
from groundswell.fit.lengths import EXACT_BITS
from groundswell.fit.linking import Linker
from groundswell.fit.pool import Assembled, assemble
from groundswell.fit.setting import FitSetting
from groundswell.lengths import LARGEST_TOKENS
from groundswell.stats.estimate import Estimate
from groundswell.stats.folding import folded
from groundswell.table import Workload
from groundswell.units import show_duration

_MOST_ZEROS = 0.1  # of gaps, before a clock's tick is spoken of
_MUCH = 0.005  # of blocks, before it is spoken of
_WEAK = 0.05  # a rank correlation that need not be put back


@dataclass(frozen=True, eq=False)
class Fitted:
    """A pool fitted to a trace, what merging cost, and what a reader should know, one line each.

    ``requests`` and ``clients`` are the trace's. ``joint`` is the rank correlation of input and output within clients,
    which the pool does not hold: generation puts it back with ``joint="rank:RHO"``, as :attr:`joint_option` says.
    """

    pool: ClientPool
    cost: tuple[Cost, ...]
    notes: tuple[str, ...]
    joint: Estimate
    requests: int
    clients: int

    @property
    def joint_option(self) -> str:
        """What ``compose`` and ``--joint`` are to be told: ``rank:0.31``, or ``independent``."""
        strong = self.joint.known and abs(self.joint.value) >= _WEAK and (self.joint.low > 0 or self.joint.high < 0)
        return f"rank:{self.joint.value:.2f}" if strong and not self.pool.converses.all() else "independent"


def fit_pool(
    blocks: Iterable[Workload], setting: FitSetting | None = None, *, metadata: Mapping[str, Any] | None = None
) -> Fitted:
    """The pool of a trace, given as blocks in order of time.

    ``metadata`` is the trace's; that of the first block if not given. Raises :class:`DataError` for a trace without
    requests, and :class:`UsageError` where the setting asks for what the trace cannot give.
    """
    setting = setting or FitSetting()
    first, rest = _opened(blocks)
    known = first.metadata if metadata is None else metadata
    grid = setting.grid(known)
    keep = setting.few - 1
    linker = Linker(grid)
    watched = linker.watch(chain([first], rest))
    fold = folded(watched, lambda block, so_far: Fold.of(block, grid, keep, so_far.sample.level), Fold())
    if not fold.cells:
        raise DataError("the trace holds no request, so there is no client to fit")
    made = assemble(fold, setting, grid, _origin(setting, known), linker)
    joint = rank_correlation(fold.sample.frame, grid)
    sends = int((fold.requests > 0).sum())
    notes = _notes(fold, setting, made, known)
    return Fitted(made.pool, costs(fold, made, setting.min_group), notes, joint, int(fold.requests.sum()), sends)


def _opened(blocks: Iterable[Workload]) -> tuple[Workload, Iterator[Workload]]:
    stream = iter(blocks)
    for first in stream:
        return first, stream
    raise DataError("the trace holds no block, so there is no client to fit")


def _origin(setting: FitSetting, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Where the pool says it comes from: nothing of the trace's own names where clients are numbered."""
    origin: dict[str, Any] = {
        "kind": "fit",
        "min_requests": setting.min_requests,
        "min_group": setting.min_group,
        "align": setting.align,
    }
    if setting.names == "keep":
        origin |= {key: metadata[key] for key in ("source", "client_is") if isinstance(metadata.get(key), str)}
    return origin


def _notes(fold: Fold, setting: FitSetting, made: Assembled, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        note
        for note in (
            _on_ends(made.pool),
            _on_groups(fold, setting, made),
            "" if "tick_s" in metadata else _on_ticks(made),  # the reader has said so
            _on_talks(made),
            _on_left_behind(fold, made),
            _on_lengths(fold, made),
        )
        if note
    )


def _on_ends(pool: ClientPool) -> str:
    """That the windows at the ends are covered in part."""
    begin_s, end_s = pool.covered_s
    if end_s - begin_s >= pool.span_s - 0.05 * pool.window_s:
        return ""
    return (
        f"the trace covers {show_duration(end_s - begin_s)} from {show_duration(begin_s)} on, of "
        f"{show_duration(pool.span_s)} of whole windows; rates at the ends are those of the part that it covers, and "
        "without --start and --duration generate covers the same"
    )


def _on_groups(fold: Fold, setting: FitSetting, made: Assembled) -> str:
    """Who was pooled."""
    roster = made.roster
    groups = int((roster.members > 1).sum())
    if not groups:
        return ""
    pooled = roster.members > 1
    small = (roster.of >= 0) & pooled[roster.of] & (fold.requests < setting.few)
    share = fold.requests[small].sum() / fold.requests.sum()
    return (
        f"{int(small.sum()):,} of {int((fold.requests > 0).sum()):,} clients sent fewer than {setting.few} requests, "
        f"{share:.1%} of all; they are pooled into {groups} group{'s' * (groups > 1)} by rate, lengths and time of day"
    )


def _on_ticks(made: Assembled) -> str:
    gaps, zeros = made.own.gaps.sum(), made.own.zeros.sum()
    if not zeros > _MOST_ZEROS * gaps:
        return ""
    return (
        f"{zeros / gaps:.0%} of a client's gaps are 0, as a clock that ticks makes them: "
        "CVs and families below the tick are the clock's"
    )


def _on_talks(made: Assembled) -> str:
    """What is not exact of conversations."""
    talks = made.talks
    if talks is None:
        return ""
    said = []
    if talks.share < 1:
        said.append(f"one in {1 / talks.share:.0f} conversations was kept, chosen evenly")
    if talks.unshared > _MUCH and made.pool.sessions is not None:
        said.append(
            f"{talks.unshared:.1%} of the blocks that had been sent before were so in ways that a pool does not hold"
        )
    return "; ".join(said)


def _on_left_behind(fold: Fold, made: Assembled) -> str:
    """What the trace has and the pool does not."""
    left = [name for name in LEFT_BEHIND if name in fold.left_behind]
    private = [name for name in left if name in HELD_AS_SESSIONS]
    left = [name for name in left if name not in private]
    said = []
    if private and made.pool.sessions is None:
        what = " and ".join(dict.fromkeys(LEFT_BEHIND[name] for name in private))
        if made.pool.converses.any():
            said.append(f"{what} are in it as laws: how one turn hangs together with another is lost")
        elif "shared_tokens" in made.pool.fields:
            said.append("too few turns follow others to be in a pool that is shared; what prompts begin with is in it")
        else:
            said.append(f"too few requests hang together for {what} to be in a pool that is shared")
        if "conversation" in private and not made.pool.converses.any():
            said.append("turns become requests of their own, as close together as the client's windows have them")
    if left:
        said.append(f"the trace has {' and '.join(LEFT_BEHIND[name] for name in left)}, for which a pool has no place")
    if fold.failed:
        said.append(f"the {fold.failed:,} requests that failed are in it with the lengths they had")
    return "; ".join(said)


def _on_lengths(fold: Fold, made: Assembled) -> str:
    """Where lengths are not exact."""
    said = []
    coarse = {name: tally.bits for name, tally in fold.lengths.items() if tally.bits < EXACT_BITS}
    if coarse:
        bits = min(coarse.values())
        said.append(
            f"{', '.join(coarse)} have so many different values that neighbours within {2.0 ** (1 - bits):.1%} share "
            "their mean"
        )
    if fold.too_long:
        said.append(f"{fold.too_long:,} lengths above {LARGEST_TOKENS:,} tokens were cut to that")
    if made.lengths.left_out:
        said.append(f"too few requests have {', '.join(made.lengths.left_out)} to be in a pool that is shared")
    return "; ".join(said)
