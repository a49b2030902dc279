"""A population from a pool: what its clients have in common, said in a few hundred figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from groundswell.errors import UsageError
from groundswell.population.conversations import fit_conversations
from groundswell.population.fit_lengths import fit_counts, fit_lengths, fit_reasoning, known_fields
from groundswell.population.fit_rhythm import fit_rhythm
from groundswell.population.law import RATE, Dependence, Fitted, Population, Rates, Strata
from groundswell.population.session_laws import as_laws
from groundswell.population.strata import Clients, rate_scores, rounded

if TYPE_CHECKING:
    from groundswell.clients.pool import ClientPool

Floats = NDArray[np.float64]

_STRATA = (1, 5, 17, 49)  # the few that make the traffic, those that shape it, and the many; in blocks of deal.py
_FEWEST = 4  # clients in a stratum
_TAIL_BEGINS = 0.99
_CERTAIN = 3.0  # standard errors a rank correlation must reach to be written down: there are hundreds of pairs
_ALWAYS = ("input_tokens.mean", "output_tokens.mean", "cv")  # properties whose pairs are written down in any case


def fit_population(pool: ClientPool, name: str = "population", command: str = "", source: str = "") -> Population:
    """The law that ``pool``'s clients might have been drawn from.

    Clients that never send are left out; clients without lengths count for rates and burstiness only. Any pool will do
    as long as one client has input and output lengths, but what few clients or few hours can say is little: a daily
    rhythm needs a day, a weekly one a week, dependence between properties about fifteen clients. ``command`` and
    ``source`` are kept in the file: what made it, and where the pool came from. Conversations become laws of turns,
    pauses and new text, whether the pool has them so or whole (:func:`left_out` says what is not kept). Raises
    UsageError if no client sends or none that does has lengths.
    """
    sends = np.flatnonzero(pool.mean_rate_per_s > 0)
    if sends.size == 0:
        raise UsageError("a population cannot be fitted to a pool in which no client sends anything")
    order = sends[np.argsort(-pool.mean_rate_per_s[sends], kind="stable")]
    pool = as_laws(pool.take(order))
    known = pool.has_lengths
    if not known.any():
        raise UsageError(
            "a population cannot be fitted: no client that sends anything has input and output lengths; "
            f"the pool's fields are {', '.join(pool.fields) or 'none'}"
        )
    clients = Clients(pool, tuple(first for first in _STRATA if first == 1 or len(pool) - first + 1 >= _FEWEST))
    activity, rhythm, noise, burstiness = fit_rhythm(clients)
    counted, lengthy = known_fields(pool)
    fitted = Fitted(
        clients=len(pool),
        clients_with_lengths=int(known.sum()),
        span_s=pool.span_s,
        period_s=max(float(np.ceil(pool.span_s / 86_400.0 - 1e-9)), 1.0) * 86_400.0,
        window_s=pool.window_s,
        slot_s=pool.slot_s,
    )
    counts = tuple(fit_counts(clients, field) for field in counted)
    lengths = tuple(fit_lengths(clients, field) for field in lengthy)
    reasoning = fit_reasoning(clients) if "reason_ratio" in pool.fields else None
    return Population(
        name=name,
        command=command,
        source=source or _source(pool),
        fitted=fitted,
        strata=Strata(first_rank=clients.first_rank),
        rates=_fit_rates(pool.mean_rate_per_s),
        activity=activity,
        rhythm=rhythm,
        noise=noise,
        burstiness=burstiness,
        dependence=_fit_dependence(clients),
        lengths=lengths,
        counts=counts,
        reasoning=reasoning,
        conversations=fit_conversations(pool, source),
    )


def left_out(pool: ClientPool) -> list[str]:
    """What ``pool`` holds of conversations that :func:`fit_population` leaves out, a sentence for each."""
    out = []
    if pool.sessions is not None and len(pool.sessions):
        out.append("conversations that the pool keeps whole become laws: how one turn goes with another is left out")
    shares = "shared_tokens" in pool.fields and (pool.table[:, :, pool.fields.index("shared_tokens")] >= 0).any()
    if shares or (pool.sessions is not None and pool.sessions.shared_tokens.size):
        out.append("shared beginnings of prompts are left out")
    return out


def _source(pool: ClientPool) -> str:
    """What a pool says of where it came from."""
    folder, digest = pool.origin.get("folder"), pool.origin.get("sha256")
    return f"{folder}, sha256 {str(digest)[:16]}" if folder and digest else "a client pool"


def _fit_rates(rate: Floats) -> Rates:
    """Points of the falling curve of rate by rank, close at the head; scaled so that the curve's sum is the pool's."""
    n = rate.size
    ranks = np.unique(np.minimum(np.concatenate([np.arange(1, 11), np.round(11 * 1.2 ** np.arange(80))]), n)).astype(
        int
    )
    at = rate[ranks - 1]
    curve = np.exp(np.interp(np.log(np.arange(1, n + 1)), np.log(ranks), np.log(at)))
    at = at * (rate.sum() / curve.sum())
    # A recorded pool ends where its recorder stopped looking, not where clients do: its last per cent falls off more
    # steeply than the rest. What comes after goes on from where that per cent begins.
    last = int(np.searchsorted(np.cumsum(rate) / rate.sum(), _TAIL_BEGINS)) + 1
    last = min(last, n)
    return Rates(
        rank=tuple(ranks.tolist()),
        rate_per_s=rounded(at, 4),
        beyond=rounded([rate[last - 1] * last], 3)[0],
    )


def _fit_dependence(clients: Clients) -> Dependence:
    """Pairs of properties whose ranks within the strata go together more than chance would have it."""
    names = [RATE, *clients.properties]
    scores = {name: _normal_scores(clients, name) for name in clients.properties}
    scores[RATE] = rate_scores(clients.first_rank, len(clients.pool), len(clients.pool))
    pairs: list[tuple[str, str, float]] = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if first == RATE and second not in clients.tied_to_rate:
                continue  # its table is weighted by rate already
            a, b = scores[first], scores[second]
            both = np.isfinite(a) & np.isfinite(b)
            if both.sum() < 8 or a[both].std() == 0 or b[both].std() == 0:
                continue
            value = float(np.corrcoef(a[both], b[both])[0, 1])
            # A field's mean and spread make its tail between them: their dependence is kept however small it is.
            always = {first, second} <= set(_ALWAYS) or _same_field_shape(first, second)
            if always or abs(value) * np.sqrt(both.sum()) > _CERTAIN:
                pairs.append((first, second, round(float(np.clip(value, -0.95, 0.95)), 2)))
    return Dependence(pairs=tuple(pairs))


def _same_field_shape(first: str, second: str) -> bool:
    """Whether two properties are the mean, spread or spike of one field."""
    parts = [name.partition(".") for name in (first, second)]
    return parts[0][0] == parts[1][0] and all(part[2] in ("mean", "spread", "spike") for part in parts)


def _normal_scores(clients: Clients, name: str) -> Floats:
    """Each client's place among its stratum, as a standard normal score; nan where the property is not known."""
    value: Any = clients.properties[name]
    out = np.full(value.size, np.nan)
    for k in range(len(clients.first_rank)):
        here = np.flatnonzero((clients.stratum == k) & np.isfinite(value))
        if here.size:
            out[here] = ndtri((rankdata(value[here]) - 0.5) / here.size)
    return out
