"""Conversations of a population's clients: drawn as tables of turns, pauses and new text, and found in a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from groundswell.chance import uniforms
from groundswell.clients.conversation import MS, yes_or_no
from groundswell.length_tables import LengthTables
from groundswell.lengths import Length, atoms, length_of
from groundswell.lengths.empirical import Empirical
from groundswell.population.fit_lengths import slots_of
from groundswell.population.law import Conversations
from groundswell.population.strata import rounded
from groundswell.population.words import keys

if TYPE_CHECKING:
    from groundswell.clients.pool import ClientPool

Floats = NDArray[np.float64]
Table = NDArray[np.int32]

_RAREST = 1e-12
_PLACES = 4096
_WIDEST = 5.0
_FEWEST_TURNS = 2.0
_LONGEST_THINK_S = 16_777.0
_UNSAID = "the pool that the other figures are of"


def with_conversations(
    law: Conversations, fields: tuple[str, ...], table: Table, lengths: LengthTables, seed: int
) -> tuple[tuple[str, ...], Table, LengthTables]:
    """Fields, tables' numbers [C, S, F] and tables of clients, with those of conversations put behind them."""
    laws = _laws(law)
    clients, slots, _ = table.shape
    converses = uniforms(keys(seed, clients, "converses"), 0) < law.clients
    number = lengths.size + np.arange(len(laws))
    mine = np.where(converses[:, None, None], number, -1).astype(np.int32)
    table = np.concatenate([table, np.broadcast_to(mine, (clients, slots, len(laws)))], axis=2)
    return (*fields, *laws), table, lengths.concat(LengthTables.of([atoms(one) for one in laws.values()]))


def _laws(law: Conversations) -> dict[str, Length]:
    laws: dict[str, Length] = {
        "turns": turns_of(law),
        "think_ms": log_normal(MS * law.think_median_s, law.think_spread, MS * law.longest_think_s),
        "new_tokens": log_normal(law.new_median_tokens, law.new_spread, 2.0**24),
    }
    if law.kept < 1:
        laws["kept_ratio"] = length_of(law.kept)
    if law.regenerated > 0:
        laws["regenerate"] = length_of(yes_or_no(law.regenerated))
    return laws


def turns_of(law: Conversations) -> Length:
    """The turns of a conversation, those of one turn with them."""
    single, several = 1.0 - law.multi_turn, law.multi_turn / law.turns  # conversations a request
    turns = np.arange(2, law.longest + 1)
    more = (law.turns - 2.0) / (law.turns - 1.0)  # mean of the geometric number: more / (1 - more)
    weight = several * (1.0 - more) * more ** (turns - 2.0)
    kept = weight > _RAREST
    value = np.concatenate([[1.0], turns[kept]])
    return Empirical(tuple(value.tolist()), (single, *weight[kept].tolist()))


def log_normal(median: float, spread: float, most: float) -> Length:
    """Whole numbers from 1 to ``most``, those beyond cut to it: the quantiles of the law at so many places."""
    score = ndtri((np.arange(_PLACES) + 0.5) / _PLACES)
    value = np.clip(np.rint(median * np.exp(spread * score)), 1.0, np.rint(most))
    return Empirical(tuple(value.tolist()))


def fit_conversations(pool: ClientPool, source: str) -> Conversations | None:
    """What the conversing clients of ``pool`` have in common, weighted by their requests; None if it holds no tables of
    turns.
    """
    if not {"turns", "think_ms", "new_tokens"} <= set(pool.fields):
        return None
    turns, share = _values(pool, "turns")
    if turns.size == 0:
        return None
    requests = turns * share
    several = turns > 1
    multi_turn = float(requests[several].sum() / requests.sum())
    mean = float(requests[several].sum() / share[several].sum()) if several.any() else _FEWEST_TURNS
    think, new = _log_figures(pool, "think_ms"), _log_figures(pool, "new_tokens")
    column = pool.fields.index("turns")
    return Conversations(
        source=source or _UNSAID,
        clients=round(float((pool.table[:, :, column] >= 0).any(axis=1).mean()), 4),
        multi_turn=round(multi_turn, 4),
        turns=max(rounded([mean])[0], _FEWEST_TURNS),
        longest=int(max(turns.max(), _FEWEST_TURNS)),
        think_median_s=rounded([think[0] / MS])[0],
        think_spread=think[1],
        longest_think_s=rounded([min(max(think[2] / MS, 1.0 / MS), _LONGEST_THINK_S)], 5)[0],
        new_median_tokens=new[0],
        new_spread=new[1],
        kept=round(_mean(pool, "kept_ratio", 1.0), 3),
        regenerated=round(_mean(pool, "regenerate", 0.0), 3),
    )


def _values(pool: ClientPool, field: str) -> tuple[Floats, Floats]:
    """The values of ``field`` in conversations or in later turns, and their shares, by the rate of each client."""
    if field not in pool.fields:
        return np.empty(0), np.empty(0)
    slots = slots_of(pool, field)
    weight: Any = slots.weight
    own = pool.table[slots.client, slots.slot, pool.fields.index("turns")]
    begin = np.where(own >= 0, 1.0 / np.maximum(pool.lengths.mean[np.maximum(own, 0)], 1.0), 0.0)  # of the requests
    weight = weight * (begin if field == "turns" else np.where(begin > 0, 1.0 - begin, 0.0))
    unique, place = np.unique(slots.table, return_inverse=True)
    some = pool.lengths.take(unique)
    mass = np.repeat(np.bincount(place, weight, unique.size), np.diff(some.first)) * some.probability
    if not mass.sum() > 0:
        return np.empty(0), np.empty(0)
    return some.value.astype(np.float64), mass / mass.sum()


def _mean(pool: ClientPool, field: str, missing: float) -> float:
    value, mass = _values(pool, field)
    return float(value @ mass) if value.size else missing


def _log_figures(pool: ClientPool, field: str) -> tuple[float, float, float]:
    """The exponential of the mean log, the log's standard deviation, and the largest value."""
    value, mass = _values(pool, field)
    log = np.log(np.maximum(value, 1.0))
    mean = float(log @ mass)
    spread = float(np.sqrt(np.maximum((log - mean) ** 2 @ mass, 0.0)))
    return rounded([np.exp(mean)], 3)[0], rounded([min(spread, _WIDEST)])[0], float(value.max())
