"""The message in an error, whatever its shape."""

from __future__ import annotations

import html
import json
import re
from http import HTTPStatus
from typing import Any

MOST_CHARACTERS = 300
_READ_BYTES = 2**16
_MARKUP = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)


def message_of(status: int, body: bytes) -> str:
    """The message in an error's body: JSON of any server, HTML or text; of an empty one what ``status`` means.

    >>> message_of(400, b'{"error": {"message": "too many tokens", "code": 400}}')
    'too many tokens'
    >>> message_of(422, b'{"detail": [{"loc": ["body", "n"], "msg": "must be positive", "type": "value_error"}]}')
    'body.n: must be positive'
    >>> message_of(502, b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
    '502 Bad Gateway'
    """
    # json.loads takes NaN and lone surrogates, and a body cut short is better shown as text than not at all.
    text = body[:_READ_BYTES].decode("utf-8", "replace").strip()
    try:
        said = words(json.loads(text))
    except (ValueError, RecursionError):  # no JSON, or some that is nested a thousand deep
        said = _without_markup(text) if text.startswith("<") else text
    return one_line(said) or _meaning(status)


def words(error: Any) -> str:
    """What a value of JSON says that describes an error; empty where it says nothing.

    >>> words({"object": "error", "message": "no such model", "code": 404})
    'no such model'
    """
    try:
        return _words(error)
    except RecursionError:
        return ""


def _words(error: Any) -> str:
    if isinstance(error, str):
        return error
    if isinstance(error, list):
        return "; ".join(filter(None, map(_words, error[:8])))
    if not isinstance(error, dict):
        return "" if error is None else json.dumps(error)
    if error.get("loc") and isinstance(error["loc"], list) and "msg" in error:  # FastAPI
        return ".".join(map(str, error["loc"])) + ": " + _words(error["msg"])
    for name in ("error", "message", "detail", "msg", "errors", "error_message", "reason", "type", "code"):
        if error.get(name) and (said := _words(error[name])):
            return said
    return json.dumps(error)[: 2 * MOST_CHARACTERS] if error else ""


def one_line(text: str) -> str:
    """``text`` on one line, without what steers a terminal, cut to 300 characters."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 8 * MOST_CHARACTERS])
    line = " ".join(shown.split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


def _without_markup(text: str) -> str:
    title = _TITLE.search(text)
    return html.unescape(title[1] if title and title[1].strip() else _MARKUP.sub(" ", text))


def _meaning(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "no words"
