"""Bodies for OpenAI's API: what all requests share is written once, and cut where they differ."""

from __future__ import annotations

from typing import Any

import msgspec

from groundswell.errors import UsageError
from groundswell.targets import Settings

OUTPUT_TOKENS = "$output_tokens"
"""Stands for the length of the reply wherever it is a value in ``Settings.extra``."""


class Template:
    """A body with gaps: one for the prompt, and any number of them for the length of the reply.

    >>> Template(Settings("tiny", forced=False, usage=False), "prompt", b"", b"").filled(b'"hello"', 5)
    b'{"prompt":"hello","model":"tiny","stream":true,"max_tokens":5}'
    """

    __slots__ = ("_head", "_tail")

    def __init__(self, settings: Settings, name: str, begin: bytes, end: bytes) -> None:
        """``name`` is the prompt's field; ``begin`` and ``end`` stand around each prompt."""
        if name in settings.extra:
            raise UsageError(f"the extra body has {name!r}, which is made from the workload; leave it out")
        try:
            rest = msgspec.json.encode(fields(settings))
        except (TypeError, ValueError) as fault:
            raise UsageError(f"the extra body cannot be written as JSON: {fault}") from fault
        self._head = msgspec.json.encode(name).join((b"{", b":")) + begin
        more = b"," + rest[1:] if rest != b"{}" else b"}"
        self._tail = (end + more).split(msgspec.json.encode(OUTPUT_TOKENS))

    def filled(self, prompt: bytes, output_tokens: int) -> bytes:
        """The body, with ``prompt``, which is JSON, and the number of tokens in their gaps."""
        return b"%b%b%b" % (self._head, prompt, (b"%d" % output_tokens).join(self._tail))


def fields(settings: Settings) -> dict[str, Any]:
    """All of a body but its prompt; :data:`OUTPUT_TOKENS` where the length of the reply belongs.

    A server that has no ``ignore_eos`` or ``min_tokens`` passes over them; one that refuses them is helped by
    ``extra={"min_tokens": None}``.
    """
    found: dict[str, Any] = {"model": settings.model, "stream": True, "max_tokens": OUTPUT_TOKENS}
    if settings.usage:
        found["stream_options"] = {"include_usage": True}
    if settings.forced:
        found |= {"ignore_eos": True, "min_tokens": OUTPUT_TOKENS}
    return {name: value for name, value in (found | dict(settings.extra)).items() if value is not None}
