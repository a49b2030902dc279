"""What several tests need: the public pools, where a machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The first example of a test may compile a kernel; tests do not judge by the clock.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The folder of public data (``servegen/data/…`` under it), where ``GROUNDSWELL_DATA`` says; skips without it."""
    data = (ROOT / os.environ.get("GROUNDSWELL_DATA", "../shared/data")).resolve()
    if not (data / "servegen" / "data").is_dir():
        pytest.skip(f"no public pools under {data}; GROUNDSWELL_DATA names their folder")
    return data


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in pieces of a few lines, as large files are in pieces of many."""
    from groundswell.formats.reading import lines, order, parquet_rows

    monkeypatch.setattr(lines, "PIECE_BYTES", 200)
    monkeypatch.setattr(parquet_rows, "BATCH_ROWS", 10)
    monkeypatch.setattr(order, "FRAME_ROWS", 8)
