"""Randomness as a function: the distributions are right, streams are unrelated, bits are fair.

Statistics use five standard errors, or a Kolmogorov–Smirnov p of 1e-6: about one false alarm in a million, seeds fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from groundswell import chance
from groundswell.chance import compiled, stream_key, stream_keys

Floats = NDArray[np.float64]
KEY = np.uint64(20_260_101)


@compiled
def _normals(key: Any, out: Any) -> None:
    for i in range(out.size):
        _, out[i] = chance.normal(chance.word_at(key, i))


@compiled
def _exponentials(key: Any, out: Any) -> None:
    for i in range(out.size):
        _, out[i] = chance.exponential(chance.word_at(key, i))


@compiled
def _gammas(key: Any, shape: Any, out: Any) -> None:
    for i in range(out.size):
        _, out[i] = chance.gamma(chance.word_at(key, i), shape)


@compiled
def _chained(key: Any, out: Any) -> None:
    state = key
    for i in range(out.size):
        state, out[i] = chance.exponential(state)


@compiled
def _words(key: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = chance.word_at(key, i)


@compiled
def _uniforms(key: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = chance.uniform_of(chance.word_at(key, i))


def drawn(kernel: Any, n: int, *arguments: Any, key: np.uint64 = KEY) -> Floats:
    out = np.empty(n)
    kernel(key, *arguments, out)
    return out


def words(n: int, key: np.uint64 = KEY) -> NDArray[np.uint64]:
    out = np.empty(n, np.uint64)
    _words(key, out)
    return out


def assert_law(sample: Floats, law: Any) -> None:
    """First four moments within five standard errors, and the whole distribution by Kolmogorov–Smirnov."""
    for power in (1, 2, 3, 4):
        raised = sample**power
        spread = np.sqrt((law.moment(2 * power) - law.moment(power) ** 2) / sample.size)
        assert abs(raised.mean() - law.moment(power)) < 5 * spread, f"moment {power}"
    assert stats.kstest(sample, law.cdf).pvalue > 1e-6


def test_normals_are_normal() -> None:
    assert_law(drawn(_normals, 1_000_000), stats.norm())


def test_exponentials_are_exponential() -> None:
    assert_law(drawn(_exponentials, 1_000_000), stats.expon())


def test_exponentials_drawn_one_after_the_other_are_exponential_and_unrelated() -> None:
    sample = drawn(_chained, 1_000_000)
    assert_law(sample, stats.expon())
    assert abs(np.corrcoef(sample[1:], sample[:-1])[0, 1]) < 5 / np.sqrt(sample.size)


@pytest.mark.parametrize("shape", [0.05, 0.3, 1.0, 2.5, 100.0])
def test_gammas_are_gamma(shape: float) -> None:
    assert_law(drawn(_gammas, 500_000, shape), stats.gamma(shape))


def test_a_gamma_of_the_smallest_shape_is_finite_and_not_negative() -> None:
    sample = drawn(_gammas, 100_000, 1e-6)
    assert np.isfinite(sample).all()
    assert (sample >= 0).all()


@pytest.mark.parametrize(
    ("kernel", "law", "edge"),
    [(_normals, stats.norm(), 3.6541528853610088), (_exponentials, stats.expon(), 7.69711747013)],
)
def test_the_tails_beyond_the_ziggurats_last_edge_are_right(kernel: Any, law: Any, edge: float) -> None:
    n = 10_000_000
    sample = np.abs(drawn(kernel, n)) if law.support()[0] < 0 else drawn(kernel, n)
    sides = 2 if law.support()[0] < 0 else 1
    tail = sample[sample > edge]
    expected = n * sides * law.sf(edge)
    assert abs(tail.size - expected) < 5 * np.sqrt(expected)
    assert stats.kstest(tail, lambda x: 1 - law.sf(x) / law.sf(edge)).pvalue > 1e-6


def test_uniforms_are_uniform_and_never_0_or_1() -> None:
    sample = drawn(_uniforms, 1_000_000)
    assert 0 < sample.min() < sample.max() < 1
    assert_law(sample, stats.uniform())


def test_every_bit_of_a_word_is_fair_and_unrelated_to_its_neighbour() -> None:
    n = 200_000
    bits = (words(n)[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    sigma = 0.5 * np.sqrt(n)
    assert (np.abs(bits.sum(axis=0) - n / 2) < 5 * sigma).all()
    assert (np.abs((bits[:, 1:] ^ bits[:, :-1]).sum(axis=0) - n / 2) < 5 * sigma).all()
    assert (np.abs((bits[1:] ^ bits[:-1]).sum(axis=0) - n / 2) < 5 * sigma).all()


def test_words_of_a_stream_are_all_different() -> None:
    sample = words(1_000_000)
    assert np.unique(sample).size == sample.size


def test_a_word_does_not_depend_on_who_asked_before() -> None:
    assert (words(1000)[500:] == words(1000)[500:]).all()
    assert words(10)[7] == words(8)[7]


@pytest.mark.parametrize("other", [KEY + np.uint64(1), KEY ^ np.uint64(1 << 63), np.uint64(stream_key(1, "a", "gaps"))])
def test_streams_of_near_keys_are_unrelated(other: np.uint64) -> None:
    n = 1_000_000
    one, two = drawn(_uniforms, n), drawn(_uniforms, n, key=other)
    for lag in (0, 1, 2):
        assert abs(np.corrcoef(one[lag:], two[: n - lag])[0, 1]) < 5 / np.sqrt(n)


def test_keys_differ_by_seed_by_name_and_by_purpose() -> None:
    keys = {
        stream_key(seed, name, use) for seed in range(20) for name in ("a", "b", "ab") for use in ("gaps", "lengths")
    }
    assert len(keys) == 120
    assert stream_key(1, "ab", "c") != stream_key(1, "a", "bc")
    assert stream_key(12, "a") != stream_key(1, "2a")


def test_keys_of_many_names_are_the_keys_of_each() -> None:
    assert stream_keys(3, ("a", "b"), "gaps").tolist() == [stream_key(3, "a", "gaps"), stream_key(3, "b", "gaps")]
