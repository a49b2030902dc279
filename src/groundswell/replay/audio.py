"""Sounds of a wanted length, each unlike every other, at the cost of a copy.

A sound is a stretch of one noise, encoded once, from a place that its number says; eight samples in front of it hold
the number itself.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from functools import cache

import numpy as np

from groundswell.replay.prompts import item_number, numbers_at

SAMPLES_PER_S = 16_000

_RING = 3 * 2**17  # samples of noise, 25 s, a whole number of base64's groups of three bytes
_MARK = 8  # samples that hold the number; with the head they are 60 bytes, twenty groups
_BEFORE = b'{"type":"input_audio","input_audio":{"data":"'
_AFTER = b'","format":"wav"}}'


@cache
def _noise() -> tuple[memoryview, memoryview]:
    """The ring of noise, -30 dB of full scale, and the same in base64; each twice, so that it has no seam."""
    samples = (numbers_at(1, np.arange(_RING)) >> np.uint64(53)).astype("<i2") - np.int16(1024)
    raw = samples.astype("<i2").tobytes()
    return memoryview(raw * 2), memoryview(b64encode(raw) * 2)


def samples_of(tokens: int, tokens_per_s: float) -> int:
    """How many samples a sound of ``tokens`` has, to the nearest.

    >>> samples_of(25, 25.0), samples_of(1, 12.5)
    (16000, 1280)
    """
    return max(round(tokens * SAMPLES_PER_S / tokens_per_s), _MARK)


def audio_item(tokens: int, tokens_per_s: float, seed: int, row: int, item: int) -> bytes:
    """The sound of a request's ``item`` as JSON, as a part of a chat message.

    It is a WAV file (16 kHz, one channel, 16 bits) of ``tokens / tokens_per_s`` seconds.
    """
    number = item_number(seed, row, item)
    size = 2 * samples_of(tokens, tokens_per_s)
    form = (36 + size, b"WAVE", b"fmt ", 16, 1, 1, SAMPLES_PER_S, 2 * SAMPLES_PER_S, 2, 16, b"data", size)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", *form)
    mark = ((np.frombuffer(number.to_bytes(8, "little"), np.uint8).astype(np.int16) - 128) * 8).astype("<i2").tobytes()
    raw, encoded = _noise()
    ring = len(encoded) // 2
    turns, rest = divmod(size - 2 * _MARK, len(raw) // 2)
    groups = rest // 3
    at = number % (_RING // 3)  # in steps of three samples, which are 6 bytes and 8 letters
    stretch = encoded[8 * at : 8 * at + 4 * groups]
    end = b64encode(raw[6 * at + 3 * groups : 6 * at + rest])
    around = [encoded[8 * at : 8 * at + ring]] * turns
    return b"".join((_BEFORE, b64encode(head + mark), *around, stretch, end, _AFTER))
