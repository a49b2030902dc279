"""The pages' tables of parts hold every part that there is, with all its parameters."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from groundswell.arrivals import ARRIVALS
from groundswell.lengths import LENGTHS
from groundswell.routing import ROUTING
from groundswell.scaling import SCALING

DOCS = Path(__file__).parent.parent / "docs"
PAGES: dict[str, tuple[Any, ...]] = {"pools.md": (ARRIVALS, LENGTHS), "routing.md": (ROUTING, SCALING)}
PARTS: list[Any] = [(page, family, name) for page, families in PAGES.items() for family in families for name in family]


@pytest.mark.parametrize(("page", "family", "name"), PARTS, ids=[name for _, _, name in PARTS])
def test_a_page_has_a_row_for_every_part(page: str, family: Any, name: str) -> None:
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    row = next(line for line in lines if line.startswith(f"| `{name}` |"))
    for field in dataclasses.fields(family[name]):
        assert f"`{field.name}`" in row
