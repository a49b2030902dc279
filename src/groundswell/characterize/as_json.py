"""A characterization as JSON: every figure, under the names of the dataclasses; what is not known is null."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np


def as_json(whole: Any) -> bytes:
    """The figures as one JSON document, indented by two."""
    return msgspec.json.format(msgspec.json.encode(whole, enc_hook=_plain), indent=2) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in JSON")
