"""What a server must not make us tell: keys, which it may repeat in an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LEAST = 6  # letters of a key that are told apart from other text
_SECRET = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_SHOWN = "[hidden]"


class Hidden:
    """Takes ``secrets`` out of what is written down or shown."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._texts = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._bytes = [text.encode("utf-8", "surrogateescape") for text in self._texts]

    @classmethod
    def of(cls, key: str | None, headers: Sequence[tuple[str, str]]) -> Hidden:
        """An API key, and the values of headers whose names say that they are secret."""
        values = [value.strip() for name, value in headers if _SECRET.search(name)]
        return cls([key or "", *values, *(value.rpartition(" ")[2] for value in values)])

    def out_of(self, data: bytes) -> bytes:
        """``data`` without them."""
        for secret in self._bytes:
            if secret in data:
                data = data.replace(secret, _SHOWN.encode())
        return data

    def out_of_text(self, text: str) -> str:
        """``text``, which may have been cut short, without them and without their beginnings.

        >>> Hidden(["sk-12345678"]).out_of_text("no such key: sk-12345678. You sent 'Bearer sk-1234")
        "no such key: [hidden]. You sent 'Bearer [hidden]"
        """
        for secret in self._texts:
            if secret[:_LEAST] in text:
                for length in range(len(secret), min(_LEAST, len(secret)) - 1, -1):
                    text = text.replace(secret[:length], _SHOWN)
        return text
