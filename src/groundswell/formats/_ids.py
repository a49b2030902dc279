"""Ids that other tools write as text, as the numbers our table has; and names for those that must not be told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from groundswell.chance import GOLDEN, compiled, mix

KEYS = "Clients are API keys, of which hashes are shown."
_KEY_DIGITS = 12

_SECRETS = {
    *("key", "keys", "apikey", "token", "secret", "password", "passwd", "credential", "credentials", "jwt"),
    *("auth", "authorization", "bearer", "cookie", "headers"),
}
_OF_A_SECRET = {"id", "hash", "value", "prefix", "header", "string"}
"""What may stand behind such a word and still be it, or enough of it."""


def id_numbers(ids: pl.Series) -> pl.Series:
    """A number from 0 to 2⁶³-1 for each text: equal for equal texts, in every run and version; null for null.

    It is FNV-1a over the bytes of the UTF-8, mixed so that the upper bits are as good as the lower. A million ids share
    a number with a chance of one in ten million.

    >>> id_numbers(pl.Series(["a", "b", None, "a"])).to_list()
    [3428612973383238291, 3133188396710173490, None, 3428612973383238291]
    """
    end = ids.str.len_bytes().fill_null(0).cast(pl.Int64).cum_sum().to_numpy()
    joined = ids.str.join("").item() or ""
    number = _fnv(np.frombuffer(joined.encode(), np.uint8), end)
    return pl.select(pl.when(ids.is_not_null()).then(pl.Series(number))).to_series().alias(ids.name)


@compiled
def _fnv(byte: Any, end: Any) -> Any:
    out = np.empty(end.size, np.int64)
    start = 0
    for i in range(end.size):
        word = np.uint64(0xCBF29CE484222325)
        for j in range(start, end[i]):
            word = (word ^ np.uint64(byte[j])) * np.uint64(0x100000001B3)
        out[i] = np.int64(mix(word + GOLDEN) >> np.uint64(1))
        start = end[i]
    return out


def key_names(keys: pl.Series) -> pl.Series:
    """``key-`` and twelve hexadecimal digits of the SHA-256 of each key, so that no key itself gets into a workload.

    >>> key_names(pl.Series(["sk-secret", None])).to_list()
    ['key-746b4ad1ca91', None]
    """
    known = keys.drop_nulls().unique().to_list()  # a key is a client: there are few
    names = [f"key-{hashlib.sha256(key.encode()).hexdigest()[:_KEY_DIGITS]}" for key in known]
    return keys.replace_strict(known, names, return_dtype=pl.String, default=None)


def is_secret(column: str) -> bool:
    """Whether a column holds keys or the like, which must not be shown, by its name; dots lead into objects.

    >>> [is_secret(name) for name in ("x-api-key", "metadata.userApiKey", "Authorization", "token_id")]
    [True, True, True, True]
    >>> [is_secret(name) for name in ("key_alias", "input_tokens", "user", "metadata.user_api_key_user_id")]
    [False, False, False, False]
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).lower())
    while len(words) > 1 and words[-1] in _OF_A_SECRET:
        words.pop()
    return bool(words) and words[-1] in _SECRETS


def shown(value: pl.Expr, column: str) -> pl.Expr:
    """The text of ``column`` as it may be shown: what is secret by its name as :func:`key_names`."""
    return value.map_batches(key_names, return_dtype=pl.String, is_elementwise=True) if is_secret(column) else value


def said_of(columns: Iterable[str]) -> tuple[str, ...]:
    """What to say of those of ``columns`` that are shown as hashes."""
    return tuple(f"Column {column!r} holds keys, of which hashes are shown." for column in columns if is_secret(column))
