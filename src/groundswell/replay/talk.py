"""A conversation as it goes on: what was said, when it paused, and who waits for that."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundswell.replay.call import Sent
    from groundswell.replay.rows import Row


class Talk:
    """The state of a conversation between its first turn and its last."""

    __slots__ = ("busy", "done_ns", "held_tokens", "item_tokens", "pieces", "waiting")

    def __init__(self) -> None:
        self.busy = False
        """Whether a turn of it is planned or open."""
        self.done_ns = 0
        """When its latest turn ended, well or not."""
        self.waiting: deque[Row] = deque()
        self.pieces: list[bytes] = []
        """The messages so far, as the target writes them."""
        self.held_tokens = 0
        """How many tokens these are with the server's template, as it counted them."""
        self.item_tokens = 0
        """How many of them are those of images and audio, as it counted: what it counts beyond our text."""

    def heard(self, call: Sent) -> None:
        """A turn has ended. After one that failed the next begins with a prompt of its own."""
        self.busy, self.done_ns = False, call.ended_ns
        answer = call.answer_piece()
        if answer is None:
            self.pieces, self.held_tokens, self.item_tokens = [], 0, 0
        else:
            if call.row.images or call.row.audio:
                self.item_tokens += max(call.prompt_tokens() - call.made.text_tokens, 0)
            self.pieces = [*call.made.pieces, answer]
            self.held_tokens = call.tokens_now()
