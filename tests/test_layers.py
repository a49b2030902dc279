"""A module imports only from lower layers or from its own package."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "groundswell"

LAYERS = (
    {"_version", "data", "errors"},
    {"chance", "family", "gap_buckets", "number_csv", "schema", "units", "whole_file"},
    {"histogram", "length_tables", "progress", "rates", "service", "table"},
    {"prefix", "results", "scaling", "simulate.state", "stats"},
    {"arrivals", "formats", "lengths", "simulate.segments", "targets"},
    {"simulate.blocks"},
    {"routing"},
    {"clients"},
    {"population"},
    {"clients.source", "compose", "naive", "rescale", "summary"},
    {"characterize", "mix"},
    {"fidelity", "fit", "judge", "replay", "simulate"},
    {"plan", "report", "search", "serve"},
    {"replay.self_test", "warm"},
    {"cli"},
)
"""Lowest first: what stands under ``groundswell``; a module of a package can stand above the rest of it."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imports(path: Path) -> set[str]:
    """What a file imports from groundswell, anywhere in it, as :data:`LAYERS` names it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports here are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= set(names) if node.module == "groundswell" else {str(node.module)}
    return {place(name.split(".")[1:]) for name in found if name.startswith("groundswell.")}


def place(module: Sequence[str]) -> str:
    """The entry of :data:`LAYERS` that a module, in parts, belongs to."""
    dotted = ".".join(module[:2])
    return dotted if dotted in LEVEL else module[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_from_lower_layers(path: Path) -> None:
    own = place(path.relative_to(SOURCE).with_suffix("").parts)
    assert own in LEVEL, f"{own} has no layer yet: give it one in LAYERS"
    above = {name for name in imports(path) if name != own and LEVEL.get(name, 0) >= LEVEL[own]}
    assert not above, f"{own} (layer {LEVEL[own]}) imports from its own layer or above: {sorted(above)}"


def test_every_layer_that_is_named_exists() -> None:
    modules = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert {name.split(".")[0] for name in LEVEL} == modules - {"__init__"}
