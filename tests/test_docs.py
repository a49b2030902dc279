"""The pages' tables of parts hold every part that there is, with all its parameters."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from groundswell.arrivals import ARRIVALS
from groundswell.lengths import LENGTHS

PAGE = (Path(__file__).parent.parent / "docs" / "pools.md").read_text(encoding="utf-8")
PARTS: list[Any] = [(family, name) for family in (ARRIVALS, LENGTHS) for name in family]


@pytest.mark.parametrize(("family", "name"), PARTS, ids=[name for _, name in PARTS])
def test_the_page_of_pools_has_a_row_for_every_part(family: Any, name: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    for field in dataclasses.fields(family[name]):
        assert f"`{field.name}`" in row
