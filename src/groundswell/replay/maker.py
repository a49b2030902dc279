"""Bodies of requests, some at a time, each of the workload's number of tokens."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence

import msgspec
import numpy as np

from groundswell.replay.journal import FRESH
from groundswell.replay.prompts import Prompts
from groundswell.replay.rows import Row
from groundswell.replay.talk import Talk
from groundswell.replay.transport import Endpoint, request, request_head
from groundswell.replay.wire import Setup
from groundswell.replay.words import Words
from groundswell.targets import TARGETS, Settings

_ROW = struct.Struct("<qqqii")


class Made(msgspec.Struct, gc=False):
    """A request that is ready to be sent."""

    payload: bytes
    pieces: list[bytes]
    """The messages in it, kept where a later turn carries them."""
    tokens: int
    """How many tokens the prompt should have, with the server's template, and with images and audio as we count
    those."""
    text_tokens: int
    """The same without those of its own images and audio."""
    flags: int
    digest: bytes


class Maker:
    """Makes requests: the same ones for the same seed, whoever makes them and when."""

    def __init__(self, setup: Setup, key: str | None) -> None:
        target = TARGETS.build(setup.target)
        settings = Settings(setup.model, setup.forced, setup.usage, setup.extra)
        self.carries = setup.answers == "server" and target.takes == "messages"
        """Whether later turns carry the server's answers."""
        self._setup = setup
        self.bodies = target.bodies(settings)
        self.target = target
        self._prompts = Prompts(msgspec.msgpack.decode(setup.words, type=Words), setup.seed, setup.block_tokens)
        headers = [*setup.headers, ("Content-Type", "application/json"), ("Accept", "text/event-stream")]
        if key is not None:
            headers.append(("Authorization", f"Bearer {key}"))
        self._head = request_head(Endpoint.parse(setup.url), target.path, headers)

    def make(self, slice_: Sequence[tuple[int, Row, Talk | None]]) -> list[Made]:
        """The requests of ``slice_``: each with when it is due, its row, and its conversation."""
        spans = [self._span(row, talk) for _, row, talk in slice_]
        texts = self._prompts.texts(
            np.array([row.row for _, row, _ in slice_]),
            (
                np.concatenate([row.runs for _, row, _ in slice_]),
                np.array([row.runs.size // 2 for _, row, _ in slice_]),
            ),
            np.array([begin for begin, _, _ in spans]),
            np.array([end for _, end, _ in spans]),
        )
        return [
            self._made(row, talk, text, span) for (_, row, talk), text, span in zip(slice_, texts, spans, strict=True)
        ]

    def _span(self, row: Row, talk: Talk | None) -> tuple[int, int, int]:
        """Which of the prompt's tokens are sent anew, from where to where, and the tokens that stand around them.

        A turn that carries what was said before adds the last tokens of its prompt, so many that with the template's
        the server counts what the workload says, which is text alone; one whose context was cut below that begins anew.
        """
        if talk is not None and talk.pieces:
            around = talk.held_tokens - talk.item_tokens + self._setup.turn_overhead
            new = row.input_tokens - around
            if new >= 1:
                return row.input_tokens - new, row.input_tokens, around
            talk.pieces, talk.item_tokens = [], 0
        return 0, max(row.input_tokens - self._setup.first_overhead, 1), self._setup.first_overhead

    def _made(self, row: Row, talk: Talk | None, text: bytes, span: tuple[int, int, int]) -> Made:
        begin, end, around = span
        earlier = talk.pieces if talk is not None else []
        items, item_tokens = self._items(row) if row.images or row.audio else ([], 0)
        message = self.bodies.message(text, items)
        pieces = [*earlier, message]
        body = self.bodies.body(pieces, row.output_tokens)
        fresh = FRESH if self.carries and row.think_ns is not None and not earlier else 0
        think_ns = -1 if row.think_ns is None else row.think_ns
        digest = hashlib.sha256(_ROW.pack(row.row, row.due_ns, think_ns, row.input_tokens, row.output_tokens))
        digest.update(message)
        if not earlier:  # what a server answered is nothing that we made
            digest.update(body)
        text_tokens = end - begin + around + (talk.item_tokens if earlier and talk is not None else 0)
        return Made(
            request(self._head, body),
            pieces if self.carries and talk is not None and not row.last else [],
            text_tokens + item_tokens,
            text_tokens,
            fresh,
            digest.digest()[:16],
        )

    def _items(self, row: Row) -> tuple[list[bytes], int]:
        """The images and sounds of a request, and how many tokens they have."""
        from groundswell.replay.audio import audio_item
        from groundswell.replay.images import grid_of, image_item

        seed, per_s = self._setup.seed, self._setup.audio_tokens_per_s
        images = [image_item(tokens, seed, row.row, i) for i, tokens in enumerate(row.images)]
        sounds = [audio_item(tokens, per_s, seed, row.row, i) for i, tokens in enumerate(row.audio)]
        return images + sounds, sum(math.prod(grid_of(tokens)) for tokens in row.images) + sum(row.audio)
