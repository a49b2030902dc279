"""What is to be known of a server before a run, learned from a handful of tiny requests.

How a prompt is counted decides whether a workload's lengths can be kept: a chat template puts tokens around each
message, and words are one token each only with the right tokenizer. Both follow from what the server counts for
prompts of known numbers of words.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from groundswell.errors import GroundswellError
from groundswell.replay.asking import Answer, Asker, UnansweredError
from groundswell.replay.audio import audio_item
from groundswell.replay.identity import Identity, identify, refused, unanswered
from groundswell.replay.images import image_item
from groundswell.replay.picture import plain
from groundswell.replay.sse import Events, TooLargeError
from groundswell.replay.wire import Tls
from groundswell.replay.words import Words
from groundswell.targets import TARGETS, ProtocolError, Settings

FIRST_WORDS = 64
"""The first prompt has so many words, the second has them twice, and a conversation three times."""
_OUTPUT_TOKENS = 2
_IMAGE_TOKENS, _AUDIO_TOKENS = 64, 25  # of an image and a sound that a server is tried with
_TIMEOUT_S = 120.0  # a server may compile when it is first asked
_UNKNOWN_FIELD = (400, 422)


@dataclass(frozen=True)
class Probed:
    """What was learned; without a probe, what is assumed."""

    model: str
    server: str | None = None
    """Which server it is, such as ``vLLM``; None where it does not say."""
    version: str | None = None
    streams: bool = True
    """Whether replies come in events."""
    usage: bool = True
    """Whether the server takes being asked for its count of tokens."""
    counts: bool = True
    """Whether it says how many tokens it counted."""
    context_tokens: int | None = None
    """How many tokens a prompt and its reply may have together; None where it does not say."""
    tokens_per_word: float = 1.0
    first_overhead: int = 0
    """Tokens that the server counts for a prompt of one message beyond those of its words."""
    turn_overhead: int = 0
    """Tokens that an answer and a further message add beyond those of their words."""
    notes: tuple[str, ...] = ()
    """What a person should know, each in a line."""


def probe(
    url: str,
    target: str,
    words: Words,
    *,
    model: str | None = None,
    key: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    extra: Mapping[str, Any] | None = None,
    forced: bool = True,
    tls: Tls | None = None,
    turns: bool = False,
    images: int = 0,
    audio: int = 0,
) -> Probed:
    """Learn what a run needs of the server at ``url``: which it is, its model where ``model`` does not say, and how it
    counts prompts of 64 and 128 ``words``, with ``turns`` also a conversation; and whether it takes the images and the
    audio that so many requests have. Each is asked for two tokens.

    Raises UsageError where ``model`` has to be given, and GroundswellError where the server is not there or refuses:
    in one line, what it said and what may help.
    """

    async def go() -> Probed:
        asker = Asker(url, headers, key, tls or Tls())
        try:
            server = await identify(asker, url)
            settings = Settings(model or server.model(url), forced, True, dict(extra or {}))
            probed = await _Counting(url, asker, server, target, settings, words).go(turns, images, audio)
            context_tokens = server.context_tokens(probed.model)
            return replace(probed, server=server.server, version=server.version, context_tokens=context_tokens)
        finally:
            await asker.close()

    return asyncio.run(go())


class _Counted(NamedTuple):
    prompt_tokens: int
    """As the server counts; -1 where it does not say."""
    streams: bool


def _begin(answer: Answer) -> str:
    """The begin of what should have been a reply."""
    return f"{answer.content_type or 'no type'}, {plain(answer.body[:60].decode(errors='replace'))!r}"


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class _Counting:
    """Has a server count prompts."""

    def __init__(self, url: str, asker: Asker, server: Identity, target: str, settings: Settings, words: Words) -> None:
        self._url, self._asker, self._server, self._settings, self._words = url, asker, server, settings, words
        self._target = TARGETS.build(target)
        self._bodies = self._target.bodies(settings)
        self._notes: list[str] = []

    async def go(self, turns: bool, images: int, audio: int) -> Probed:
        """Ask, and conclude."""
        learned = await self._counted(turns)
        if self._server.lacks(self._settings.model):
            self._notes.append(
                f"the server lists {self._server.shown()}, not {plain(self._settings.model)}: it answers, but maybe "
                "with another model"
            )
        await self._try("images", images, image_item(_IMAGE_TOKENS, 0, 0, 0) if images else b"")
        await self._try("audio", audio, audio_item(_AUDIO_TOKENS, _AUDIO_TOKENS, 0, 0, 0) if audio else b"")
        return replace(learned, notes=tuple(self._notes))

    async def _try(self, name: str, requests: int, item: bytes) -> None:
        """See whether the server takes an image, or a sound of a second."""
        if not requests:
            return
        try:
            await self._ask(self._bodies.message(self._words.some(FIRST_WORDS), [item]))
        except _RefusedError as refusal:
            self._notes.append(
                f"the server refuses {name} ({refusal.status}: {refusal.message}); requests with {name}: {requests:,}"
            )

    async def _counted(self, turns: bool) -> Probed:
        first = await self._first()
        learned = Probed(self._settings.model, usage=self._settings.usage, streams=first.streams)
        if not first.streams:
            self._notes.append("the server does not stream: the time to the first token is that to the whole reply")
        if first.prompt_tokens < 0:
            self._notes.append("the server does not say how many tokens it counts: lengths of prompts are unchecked")
            return replace(learned, counts=False)
        try:
            second = await self._ask(self._bodies.message(self._words.some(FIRST_WORDS, times=2)))
        except _RefusedError as refusal:
            raise self._explained(refusal) from None
        # The same words twice: so this holds for words of any number of tokens.
        words = second.prompt_tokens - first.prompt_tokens
        self._note(words / FIRST_WORDS)
        learned = replace(learned, tokens_per_word=words / FIRST_WORDS)
        if words > 0:
            learned = replace(learned, first_overhead=first.prompt_tokens - words)
            if turns and self._target.takes == "messages":
                learned = replace(learned, turn_overhead=await self._turn_overhead(words, first.prompt_tokens))
        return learned

    async def _first(self) -> _Counted:
        """The first request; without asking for a count where the server refuses just that."""
        message = self._bodies.message(self._words.some(FIRST_WORDS))
        try:
            return await self._ask(message)
        except _RefusedError as refusal:
            said = refusal.message
            if refusal.status in _UNKNOWN_FIELD and ("stream_options" in said or "include_usage" in said):
                self._settings = replace(self._settings, usage=False)
                self._bodies = self._target.bodies(self._settings)
                self._notes.append("the server refuses to be asked for its count of tokens (stream_options)")
            else:
                raise self._explained(refusal) from None
        try:
            return await self._ask(message)
        except _RefusedError as refusal:
            raise self._explained(refusal) from None

    async def _turn_overhead(self, words: int, first_tokens: int) -> int:
        """What is counted for an answer and a second message beyond their ``words``, each with those of the first."""
        text = self._words.some(FIRST_WORDS)
        message, answer = self._bodies.message(text), self._bodies.answer(text.decode())
        try:
            third = await self._ask(message, answer, message)
        except _RefusedError as refusal:
            self._notes.append(f"the server refuses a conversation ({refusal.status}: {refusal.message})")
            return 0
        return third.prompt_tokens - first_tokens - 2 * words if third.prompt_tokens >= 0 else 0

    def _note(self, ratio: float) -> None:
        if ratio <= 0:
            self._notes.append("the server's count of tokens does not grow with the prompt: lengths are unchecked")
        elif ratio != 1:
            hint = "is that the model's own --tokenizer?" if self._words.sure else "give the model's own --tokenizer"
            self._notes.append(
                f"the server counts {ratio:.3g} tokens for each word of {self._words.name}, not 1: prompts are not of "
                f"the workload's lengths; {hint}"
            )

    async def _ask(self, *pieces: bytes) -> _Counted:
        body = self._bodies.body(pieces, _OUTPUT_TOKENS)
        try:
            answer = await self._asker.post(self._target.path, body, _TIMEOUT_S)
        except UnansweredError as fault:
            raise unanswered(self._url, fault) from None
        reply = self._target.reply()
        if not answer.good:
            raise _RefusedError(answer.status, reply.refusal(answer.status, answer.body))
        streams = "json" not in answer.content_type
        try:
            if streams:
                events = Events()
                for data in [*events.feed(answer.body), *filter(None, [events.close()])]:
                    reply.event(data)
            else:
                reply.whole(answer.body)
        except (ProtocolError, TooLargeError) as fault:
            raise GroundswellError(f"{self._url} sent from {self._target.path} what is no reply: {fault}") from None
        if reply.error is not None:
            raise GroundswellError(f"{self._url} cannot answer a prompt of some words: {reply.error}")
        if not reply.ended:
            raise GroundswellError(f"{self._url} sent from {self._target.path} what is no reply: {_begin(answer)}")
        return _Counted(reply.prompt_tokens, streams)

    def _explained(self, refusal: _RefusedError) -> GroundswellError:
        named = {name: None for name in ("ignore_eos", "min_tokens") if name in refusal.message}
        hint = f"; --extra-body '{json.dumps(named)}' leaves out what it does not know" if named else ""
        if refusal.status == 404 and self._server.lacks(self._settings.model):
            hint = f"; it lists {self._server.shown()}"
        return refused(self._url, self._target.path, refusal.status, refusal.message, hint=hint)
