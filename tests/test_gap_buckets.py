"""The buckets of gaps: where they lie, and that all who count use the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from groundswell.gap_buckets import gap_buckets, gap_of
from groundswell.replay.journal import GAP, Journal

GAP_S = np.random.default_rng(5).lognormal(-5.0, 5.0, 2000)
"""From below a microsecond to hours."""


def test_a_gap_is_within_half_a_bucket_of_the_middle() -> None:
    above = GAP_S[GAP_S > 2.0**-20]
    assert 0 < above.size < GAP_S.size
    middle_s = gap_of(gap_buckets(above))
    np.testing.assert_allclose(np.log2(above / middle_s), 0.0, atol=0.5 / 64 + 1e-9)


def test_gaps_without_a_length_and_without_an_end_have_a_bucket() -> None:
    assert gap_buckets(np.array([0.0, 2.0**-20, np.inf])).tolist() == [0, 0, 2**16 - 1]


def test_a_worker_counts_one_by_one_in_the_same_buckets(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for gap_s in [*GAP_S.tolist(), 2.0**-20, 0.0]:
        journal.add_gap(gap_s)
    journal.add_no_gaps(3)
    journal.flush(7.5, (0, 0, 0, 0, 0, 0))
    journal.close()
    counted = np.fromfile(tmp_path / "0.gaps", GAP)
    assert set(counted["second"]) == {7}
    bucket, count = np.unique(gap_buckets(np.append(GAP_S, np.zeros(5))), return_counts=True)
    assert dict(zip(counted["bucket"].tolist(), counted["count"].tolist(), strict=True)) == dict(
        zip(bucket.tolist(), count.tolist(), strict=True)
    )


@pytest.mark.parametrize("dtype", ["<u2", "<i8"])
def test_the_middle_does_not_depend_on_how_buckets_are_kept(dtype: str) -> None:
    bucket = np.array([1, 640, 2**16 - 1]).astype(dtype)
    np.testing.assert_allclose(gap_of(bucket)[:2], [2.0**-20 * 2.0 ** (0.5 / 64), 2.0**-10 * 2.0 ** (-0.5 / 64)])
