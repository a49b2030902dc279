"""How replies of OpenAI's API read, in the dialects of the servers that speak it.

docs/targets.md says which server sends what.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from groundswell.targets import ANSWER, END, NOTHING, REASONING, ProtocolError
from groundswell.targets._refusal import message_of, one_line, words

FAULTS = frozenset({"abort", "cancelled", "error"})
"""Reasons to finish that are none of success."""


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    reasoning_tokens: int | None = None


class _Timings(msgspec.Struct, gc=False):
    cache_n: int | None = None
    prompt_n: int | None = None
    predicted_n: int | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Any] | None = None
    function_call: dict[str, Any] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    timings: _Timings | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class OpenAIReply:
    """A reply of ``/v1/chat/completions`` or ``/v1/completions``, streamed or whole."""

    __slots__ = (
        "_told",
        "cached_tokens",
        "ended",
        "error",
        "finish",
        "keep",
        "output_tokens",
        "prompt_tokens",
        "reason_tokens",
        "text",
    )

    def __init__(self) -> None:
        self.prompt_tokens = self.output_tokens = self.reason_tokens = self.cached_tokens = -1
        self.finish: str | None = None
        self.error: str | None = None
        self.ended = self.keep = self._told = False
        self.text: list[str] = []

    def event(self, data: bytes) -> int:
        """What an event brought; an error is an END with ``error`` set. ProtocolError for what is no JSON object."""
        if data == b"[DONE]":
            self.ended = True
            return END
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = data.strip()
            if not said:
                return NOTHING
            if said == b"[DONE]":
                return self.event(said)
            chunk = _lenient(data)
        if chunk.choices is None:
            chunk = _lenient(data)
        return self._take(chunk)

    def whole(self, body: bytes) -> int:
        """The same of a reply that came as one JSON body."""
        chunk = _lenient(body)
        if not chunk.choices and not chunk.error:
            raise ProtocolError(f"JSON without choices where a reply should be: {_shown(body)}")
        brought = self._take(chunk) | END
        self.ended = self.ended or not self.error
        return brought

    @staticmethod
    def refusal(status: int, body: bytes) -> str:
        """The message in an error's body, whatever its shape: one line of at most 300 characters."""
        return message_of(status, body)

    def _take(self, chunk: _Chunk) -> int:
        brought = NOTHING
        if chunk.choices:
            for choice in chunk.choices:
                said = choice.text
                delta = choice.delta
                if delta is not None:
                    said = delta.content or said
                    if delta.reasoning_content or delta.reasoning:
                        brought |= REASONING
                    if delta.tool_calls or delta.refusal or delta.function_call:
                        brought |= ANSWER
                if said:
                    brought |= ANSWER
                    if self.keep and choice.index == 0:
                        self.text.append(said)
                if choice.finish_reason:
                    brought |= END
                    self._finish(choice.finish_reason)
        if chunk.timings is not None and not self._told:
            self._time(chunk.timings)
        if chunk.usage is not None:
            self._count(chunk.usage)
        if chunk.error:
            brought |= END
            self.error = one_line(words(chunk.error)) or "an error without words"
        return brought

    def _finish(self, reason: str) -> None:
        self.finish = reason
        self.ended = True
        if reason in FAULTS and self.error is None:
            self.error = f"the server ended the reply with {reason!r}"

    def _count(self, usage: _Usage) -> None:
        self._told = True
        inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
        reasoned = None if outputs is None else outputs.reasoning_tokens
        self.prompt_tokens = _known(usage.prompt_tokens, self.prompt_tokens)
        self.output_tokens = _known(usage.completion_tokens, self.output_tokens)
        self.cached_tokens = _known(None if inputs is None else inputs.cached_tokens, self.cached_tokens)
        self.reason_tokens = _known(usage.reasoning_tokens if reasoned is None else reasoned, self.reason_tokens)

    def _time(self, timings: _Timings) -> None:
        """llama.cpp's own count: what it took from its cache is not in ``prompt_n``."""
        self.output_tokens = _known(timings.predicted_n, self.output_tokens)
        self.cached_tokens = _known(timings.cache_n, self.cached_tokens)
        if timings.prompt_n is not None and timings.cache_n is not None:
            self.prompt_tokens = _known(timings.cache_n + timings.prompt_n, self.prompt_tokens)


def _known(count: int | None, before: int) -> int:
    """``count`` where it can be one of tokens, else what was known before."""
    return before if count is None or not 0 <= count < 2**31 else count


def _lenient(data: bytes) -> _Chunk:
    """A chunk out of JSON whose fields may be of other types than they should; ProtocolError for what is no object.

    The standard library reads what msgspec refuses: lone surrogates, NaN.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise ProtocolError(f"no JSON where a reply's should be: {_shown(data)}") from fault
    if not isinstance(found, dict):
        raise ProtocolError(f"JSON, but no object, where a reply's should be: {_shown(data)}")
    choices, error = found.get("choices"), found.get("error")
    if not error and not choices and {"message", "detail"} & set(found):
        error = found  # Dynamo, and vLLM until 2025, do not wrap it
    return _Chunk(
        choices=[_choice(each) for each in choices if isinstance(each, dict)] if isinstance(choices, list) else None,
        usage=_usage(found.get("usage")),
        error=error,
        timings=_numbers(_Timings, found.get("timings")),
    )


def _choice(found: dict[str, Any]) -> _Choice:
    delta, finish = found.get("delta"), found.get("finish_reason")
    if not isinstance(delta, dict):
        delta = found.get("message")
    if isinstance(finish, dict):  # SGLang's own form
        finish = finish.get("type")
    return _Choice(
        index=_whole_number(found.get("index")) or 0,
        delta=_delta(delta) if isinstance(delta, dict) else None,
        text=_text(found.get("text")),
        finish_reason=str(finish)[:80] if finish else None,
    )


def _delta(found: dict[str, Any]) -> _Delta:
    content, calls, call = found.get("content"), found.get("tool_calls"), found.get("function_call")
    thought = [found.get("reasoning_content"), found.get("reasoning")]
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        thought += [part.get("thinking") for part in parts]
        content = "".join(part if isinstance(part, str) else _text(part) or "" for part in content)
    return _Delta(
        content=_text(content),
        reasoning="".join(filter(None, map(_text, thought))),
        tool_calls=calls if isinstance(calls, list) else None,
        function_call=call if isinstance(call, dict) else None,
        refusal=_text(found.get("refusal")),
    )


def _text(found: Any) -> str | None:
    """The text in a string, in a part such as ``{"type": "text", "text": …}``, or in a list of them."""
    if isinstance(found, list):
        return "".join(filter(None, map(_text, found)))
    if isinstance(found, dict):
        found = found.get("text")
    return found if isinstance(found, str) else None


def _usage(found: Any) -> _Usage | None:
    usage: _Usage | None = _numbers(_Usage, found)
    if usage is not None:
        usage.prompt_tokens_details = _numbers(_Details, found.get("prompt_tokens_details"))
        usage.completion_tokens_details = _numbers(_Details, found.get("completion_tokens_details"))
    return usage


def _numbers(kind: Any, found: Any) -> Any:
    """A struct of the whole numbers that ``found`` has under its fields' names, or None where it is no object."""
    if not isinstance(found, dict):
        return None
    return kind(**{name: _whole_number(found.get(name)) for name in kind.__struct_fields__})


def _whole_number(found: Any) -> int | None:
    return int(found) if isinstance(found, int | float) and found == found // 1 else None


def _shown(data: bytes) -> str:
    return repr(one_line(data[:80].decode("utf-8", "replace")))
