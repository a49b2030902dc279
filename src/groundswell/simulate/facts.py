"""What is known of models and of graphics processors: shapes, memory, links (``data/engines``)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from groundswell.errors import UsageError

DATA = Path(__file__).parent.parent / "data" / "engines"
BYTES = 2
"""Of a parameter, and of a number in the cache of keys and values: bfloat16."""


@dataclass(frozen=True)
class Model:
    """The shape of a dense decoder with gated feed-forward parts, whose first and last layer share no weights.

    ``feed_forward`` is the width of its inner part, ``positions`` the longest context, ``parameters`` what the model
    card says.
    """

    model: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    qkv_bias: bool
    positions: int
    parameters: int
    source: str

    def layer_parameters(self, tp: int = 1) -> float:
        """Of one layer, on one of ``tp`` processors. Keys' and values' heads are there again where they are fewer."""
        queries = self.heads * self.head_size / tp
        keys = self.kv_heads_on(tp) * self.head_size
        attention = (self.hidden + self.qkv_bias) * (queries + 2 * keys) + queries * self.hidden
        return attention + 3 * self.hidden * self.feed_forward / tp + 2 * self.hidden

    def kv_heads_on(self, tp: int) -> int:
        """Heads of keys and values on one of ``tp`` processors."""
        return -(-self.kv_heads // tp)

    @property
    def counted_parameters(self) -> int:
        """As many as the shape has."""
        ends = (2 * self.vocabulary + 1) * self.hidden
        return round(self.layers * self.layer_parameters() + ends)


@dataclass(frozen=True)
class Gpu:
    """A graphics processor: the memory that CUDA reports, and the bandwidth to its neighbours, in one direction."""

    gpu: str
    name: str
    memory_bytes: int
    link_bytes_per_s: float
    node_link_bytes_per_s: float
    per_node: int
    source: str


def model_of(name: str) -> Model:
    """A model by its name, with or without its owner's, in any case. Raises UsageError that lists those known."""
    return Model(**_found("model", "models.toml", name.rpartition("/")[2]))


def gpu_of(name: str) -> Gpu:
    """A graphics processor by its name, in any case. Raises UsageError that lists those known."""
    return Gpu(**_found("gpu", "gpus.toml", name))


def _found(kind: str, file: str, name: str) -> dict[str, Any]:
    asked = name.strip().lower().replace("_", "-").replace(" ", "-")
    known = _tables(file)
    for own, table in known.items():
        if asked == own or asked in table["also"]:
            return {kind: own} | {key: value for key, value in table.items() if key != "also"}
    raise UsageError(f"there is no {kind} {name!r}; those known are {', '.join(known)}")


@cache
def _tables(file: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((DATA / file).read_text("utf-8"))
