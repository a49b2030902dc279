"""Which clients stand alone, and which are pooled with others like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_GROUPS = 32
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Roster:
    """Who is in the pool: P senders, each a client of the trace or a group of them, the busiest first."""

    of: Ints
    """For each client of the trace its sender's number, -1 for one that sent nothing."""
    alone: Ints
    """For each sender the client whose gaps are its own, -1 for a group."""
    members: Ints
    """How many clients each sender stands for."""
    requests: Ints

    def __len__(self) -> int:
        return self.members.size


def enrol(requests: Ints, traits: Floats, few: int, min_group: int) -> Roster:
    """The senders that clients with so many ``requests`` make.

    Clients of fewer than ``few`` requests are pooled by their ``traits`` (clients, traits) into at most
    ``MOST_GROUPS`` groups, each of ``few`` requests or more if together they have as many. If they have fewer than
    ``min_group`` together, each joins the client most like it that stands alone.
    """
    sends = requests > 0
    total = int(requests.sum())
    if total < min_group:
        raise UsageError(
            f"min-group {min_group}: the trace has {total} requests in all, so no figure of it can be shared"
        )
    small = np.flatnonzero(sends & (requests < few))
    big = np.flatnonzero(sends & (requests >= few))
    label = np.full(requests.size, -1, np.int64)
    label[big] = np.arange(big.size)
    if small.size and big.size and requests[small].sum() < min_group:
        label[small] = _nearest(traits[small], traits[big])
    elif small.size:
        label[small] = big.size + _groups(traits[small], requests[small], few)
    return _ranked(label, requests, big)


def _ranked(label: Ints, requests: Ints, big: Ints) -> Roster:
    """The roster of labelled clients, of which the first labels are those of the clients ``big``."""
    held = label >= 0
    size = np.bincount(label[held])
    sent = np.bincount(label[held], requests[held]).astype(np.int64)
    alone = np.full(size.size, -1, np.int64)
    alone[: big.size] = big
    lone = np.flatnonzero(held)[size[label[held]] == 1]  # a group of one is a client
    alone[label[lone]] = lone
    order = np.argsort(-sent, kind="stable")
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    return Roster(np.where(held, place[label], -1), alone[order], size[order], sent[order])


def _nearest(traits: Floats, others: Floats) -> Ints:
    """For each row the row of ``others`` that is nearest."""
    return np.array([int(np.argmin(((others - one) ** 2).sum(axis=1))) for one in traits])


def _groups(traits: Floats, requests: Ints, least: int) -> Ints:
    """A group for each client, by median cuts (Heckbert 1982).

    The group of largest scatter is halved, in requests, along the trait that scatters most in it, as long as both
    halves have ``least`` requests.
    """
    group = np.zeros(requests.size, np.int64)
    open_cuts = {0: _cut(np.arange(requests.size), traits, requests, least)}
    while open_cuts and group.max() + 1 < MOST_GROUPS:
        widest = max(open_cuts, key=lambda g: open_cuts[g][0])
        scatter, low, high = open_cuts.pop(widest)
        if scatter <= _SAME:
            continue
        new = int(group.max()) + 1
        group[high] = new
        open_cuts[widest] = _cut(low, traits, requests, least)
        open_cuts[new] = _cut(high, traits, requests, least)
    return group


def _cut(who: Ints, traits: Floats, requests: Ints, least: int) -> tuple[float, Ints, Ints]:
    """How much is to be gained by halving ``who``, 0 where it cannot be, and the two halves."""
    weight = requests[who].astype(np.float64)
    away = traits[who] - np.average(traits[who], axis=0, weights=weight)
    scatter = weight @ away**2
    widest = int(np.argmax(scatter))
    order = np.lexsort((who, traits[who, widest]))
    running = np.cumsum(weight[order])[:-1]
    allowed = (running >= least) & (running[-1:] + weight[order][-1:] - running >= least)
    if not allowed.any():
        return 0.0, who, who[:0]
    at = np.flatnonzero(allowed)
    cut = int(at[np.argmin(np.abs(running[at] - weight.sum() / 2))]) + 1
    return float(scatter[widest]), who[order[:cut]], who[order[cut:]]


def traits_of(requests: Ints, tokens: Any, hours: Floats) -> Floats:
    """(clients, traits): the logarithms of rate and of mean tokens, and the hour profile's first harmonic.

    ``tokens`` are arrays of each client's total of a field; ``hours`` is (clients, 2), the mean cosine and sine of the
    time of day of its requests. A factor of e in rate or mean counts as much as a move from all at one hour of the day
    to spread evenly.
    """
    sent = np.maximum(requests, 1).astype(np.float64)
    logs = [np.log(sent), *(np.log1p(total / sent) for total in tokens)]
    return np.column_stack([*logs, hours])
