"""What kind of client each client is: its properties, dealt so that few clients already look like the law.

A handful of clients make most of a workload, so independent draws would give a different workload with every seed.
Ranks are taken in blocks of four, and for each property every block is dealt the four quarters of the law in random
order (Latin hypercube sampling; McKay, Beckman and Conover 1979), then the dealt scores are correlated (Gaussian
copula). A client's properties are a function of the seed and its rank, so asking for more clients changes none of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from groundswell.chance import uniforms
from groundswell.population.law import RATE, Population
from groundswell.population.strata import rate_scores, stratum_of
from groundswell.population.tables import read_rows
from groundswell.population.words import keys

Floats = NDArray[np.float64]

BLOCK = 4


def deal(population: Population, n: int, seed: int) -> dict[str, Floats]:
    """Every property of clients 0 … n-1 (rank 1 … n), by name."""
    properties = population.properties()
    size = rate_scores(population.strata.first_rank, population.fitted.clients, n)
    score = np.column_stack([size, ndtri(_dealt(seed, n, len(properties)))]) @ mixing(population).T
    quantile = np.clip(ndtr(score), 0.0, 1.0)
    stratum = stratum_of(population.strata.first_rank, n)
    out = {}
    for k, (name, rows) in enumerate(properties.items()):
        out[name] = read_rows(rows, stratum, quantile[:, k + 1])
    return out


def ranked_rates(population: Population, n: int) -> Floats:
    """Mean rates of the clients of rank 1 … n, requests/s."""
    law = population.rates
    rank = np.arange(1, n + 1, dtype=np.float64)
    inside = np.exp(np.interp(np.log(rank), np.log(law.rank), np.log(law.rate_per_s)))
    return np.where(rank <= law.rank[-1], inside, law.beyond / rank)


def mixing(population: Population) -> Floats:
    """The matrix that gives independent scores the law's correlations, lower triangular with rows of length 1."""
    names = [RATE, *population.properties()]
    wanted = np.eye(len(names))
    for first, second, value in population.dependence.pairs:
        i, j = names.index(first), names.index(second)
        wanted[i, j] = wanted[j, i] = 2 * np.sin(np.pi / 6 * value)  # of the scores, for this rank correlation
    # Correlations that were found pair by pair need not be possible together: the nearest that are (in the spectrum).
    size, direction = np.linalg.eigh(wanted)
    possible = (direction * np.maximum(size, 1e-3)) @ direction.T
    length = np.sqrt(np.diag(possible))
    return np.asarray(np.linalg.cholesky(possible / np.outer(length, length)))


def _dealt(seed: int, n: int, properties: int) -> Floats:
    """Uniforms [n, properties]; each block of clients has one in each quarter of every property."""
    blocks = -(-n // BLOCK)
    order = uniforms(
        keys(seed, blocks, "order")[:, None, None], np.arange(BLOCK * properties).reshape(BLOCK, properties)
    )
    place = order.argsort(axis=1).argsort(axis=1).reshape(blocks * BLOCK, properties)[:n]
    within = uniforms(keys(seed, n, "place")[:, None], np.arange(properties))
    return (place + within) / BLOCK
