"""Text that stands for prompts nobody has: as many words as tokens, the same where blocks are the same.

Each word is one token, with the blank before it and at the beginning of a text, in the vocabularies of GPT-2, GPT-3.5,
GPT-4 and GPT-4o, Llama 1 to 3, Mistral (Tekken) and Qwen 1. So a text of n words is of n tokens there, beside what a
chat template adds. It means nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from groundswell.chance import GOLDEN, compiled, mix

Ints = NDArray[np.int64]

_TEXT = """
    the and for this that with you new from not was have get can self all will your out has but set else more his
    they per data one name true end their time which any false value about add over part work when use other been
    were file would our year some there said her like let also than just result into list case first import act only
    its back need start user under then may how people test bet make after right long array read form number key two
    size where while look could know hand most try now him break every point error text show find used play see help
    these pass down even item last event again high line before state final run very model call well object years
    using view many being good child person style method found post such think much check open next follow game path
    each own sign those best same create made mark group world main color report take day top free action index real
    max build input art table head must order say place week code still field team second going range fact home left
    direct allow page really image target both put level local quest float great month super title met life catch
    pay change old book three law base power width label date big map ear match node sit care effect fun leg since
    full turn body stand block keep throw red come custom source mill ask email never hard height small access job
    """
WORDS = tuple(_TEXT.split())
"""256 of them."""

_BYTES = np.frombuffer("".join(WORDS).encode(), np.uint8)
_EDGE = np.concatenate([[0], np.cumsum([len(word) for word in WORDS])]).astype(np.int64)


def texts(ids: Ints, count: Ints, tokens: Ints, block_tokens: int) -> pl.Series:
    """A text of ``tokens[i]`` words for each i, of blocks of ``block_tokens`` words with ``count[i]`` of ``ids``.

    Equal ids give equal words. There must be as many ids as a text has blocks, or more.
    """
    end = np.empty(tokens.size, np.int64)
    _measure(ids, count, tokens, block_tokens, end)
    out = np.empty(int(end[-1]) if end.size else 0, np.uint8)
    _fill(ids, count, tokens, block_tokens, _BYTES, out)
    lines = pl.Series("text", [out.tobytes().decode()] if tokens.size else [], pl.String)
    return lines.str.split("\n").explode(empty_as_null=False).head(tokens.size)


@compiled
def _word(block: Any, place: int) -> Any:
    return mix(mix(np.uint64(block) + GOLDEN) + np.uint64(place)) >> np.uint64(56)


@compiled
def _measure(ids: Any, count: Any, tokens: Any, size: int, end: Any) -> None:
    """Where each text ends, with the line end behind it."""
    at, first = 0, 0
    for i in range(tokens.size):
        for k in range(tokens[i]):
            word = _word(ids[first + k // size], k % size)
            at += _EDGE[word + 1] - _EDGE[word] + 1  # and a blank, or the line end
        at += tokens[i] == 0
        end[i] = at
        first += count[i]


@compiled
def _fill(ids: Any, count: Any, tokens: Any, size: int, letters: Any, out: Any) -> None:
    at, first = 0, 0
    for i in range(tokens.size):
        for k in range(tokens[i]):
            if k:
                out[at] = 32
                at += 1
            word = _word(ids[first + k // size], k % size)
            for j in range(_EDGE[word], _EDGE[word + 1]):
                out[at] = letters[j]
                at += 1
        out[at] = 10
        at += 1
        first += count[i]
