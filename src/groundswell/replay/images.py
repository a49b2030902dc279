"""Images of a wanted number of tokens, each unlike every other, at next to no cost.

What an image costs a model follows from its size alone. Qwen2-VL, and what followed it, cuts an image into squares of
28 pixels and takes each as one token. It leaves sizes alone that are whole squares, at most 200 times as long as wide,
and of 4 to 16,384 squares (``smart_resize`` and ``preprocessor_config.json`` of the model; Wang et al., "Qwen2-VL",
arXiv:2409.12191). So squares of four colours are made once for a size; only the palette differs from image to image,
and it is written before the pixels (PNG, ISO/IEC 15948, 11.2.2).
"""

from __future__ import annotations

import math
import struct
import zlib
from base64 import b64encode
from functools import lru_cache

import numpy as np

from groundswell.replay.prompts import item_number, numbers_at

LEAST_TOKENS = 4
MOST_TOKENS = 16_384
LONGEST_RATIO = 200
PATCH = 28
"""Pixels along the side of what is one token."""

_BEGIN = b"\x89PNG\r\n\x1a\n"


@lru_cache(65_536)
def grid_of(tokens: int) -> tuple[int, int]:
    """The (rows, columns) of squares, as many as ``tokens`` and as square as that can be.

    Where a number has no such size, as a prime above 200 has none, it is that of the nearest number that has one.

    >>> grid_of(1020), grid_of(1021), grid_of(2), grid_of(199)
    ((30, 34), (30, 34), (2, 2), (1, 199))
    """
    tokens = min(max(tokens, LEAST_TOKENS), MOST_TOKENS)
    for off in range(tokens):
        for count in (tokens - off, tokens + off):
            rows = next(r for r in range(math.isqrt(count), 0, -1) if count % r == 0)
            if count <= LONGEST_RATIO * rows * rows and LEAST_TOKENS <= count <= MOST_TOKENS:
                return rows, count // rows
    raise AssertionError("every number has a neighbour that is no prime")


def png_of(tokens: int, number: int, patch: int = PATCH) -> tuple[bytes, int]:
    """A PNG of ``tokens``, and how many it has in fact (:func:`grid_of`); another for every ``number`` of 64 bits."""
    rows, columns = grid_of(tokens)
    return _head(rows, columns, patch) + _palette(number) + _pixels(rows, columns, patch), rows * columns


def image_item(tokens: int, seed: int, row: int, item: int, patch: int = PATCH) -> bytes:
    """The image of a request's ``item`` as JSON, as a part of a chat message: :func:`png_of` as a data URL."""
    before, after = _encoded(*grid_of(tokens), patch)
    # The head is 33 bytes and the palette 24: base64 takes three at a time.
    return b"".join((before, b64encode(_palette(item_number(seed, row, item))), after))


@lru_cache(1024)
def _encoded(rows: int, columns: int, patch: int) -> tuple[bytes, bytes]:
    before = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,'
    return before + b64encode(_head(rows, columns, patch)), b64encode(_pixels(rows, columns, patch)) + b'"}}'


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _head(rows: int, columns: int, patch: int) -> bytes:
    """33 bytes: a palette's two bits a pixel, neither interlaced nor of an unusual compression."""
    return _BEGIN + _chunk(b"IHDR", struct.pack(">IIBBBBB", columns * patch, rows * patch, 2, 3, 0, 0, 0))


def _palette(number: int) -> bytes:
    """24 bytes: four colours, of which the first three tell the number."""
    return _chunk(b"PLTE", struct.pack("<QI", number, zlib.crc32(number.to_bytes(8, "little"))))


def _pixels(rows: int, columns: int, patch: int) -> bytes:
    """Squares of one colour each: the first of each colour, then as a hash says. Every line of pixels but a square's
    first is said to be as the one above (filter 2), so there is little to compress.
    """
    colour = (numbers_at(0, np.arange(rows * columns)) & np.uint64(3)).astype(np.uint8)
    colour[:4] = range(4)
    pixel = np.zeros((rows, -(-columns * patch // 4) * 4), np.uint8)
    pixel[:, : columns * patch] = np.repeat(colour.reshape(rows, columns), patch, axis=1)
    quarter = pixel.reshape(rows, -1, 4)
    lines = np.zeros((rows, patch, 1 + quarter.shape[1]), np.uint8)
    lines[:, 1:, 0] = 2
    lines[:, 0, 1:] = quarter[..., 0] << 6 | quarter[..., 1] << 4 | quarter[..., 2] << 2 | quarter[..., 3]
    return _chunk(b"IDAT", zlib.compress(lines.tobytes(), 1)) + _chunk(b"IEND", b"")
