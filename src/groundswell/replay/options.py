"""How a workload is sent."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Literal

from groundswell.errors import UsageError
from groundswell.replay.wire import Tls


@dataclass(frozen=True)
class Options:
    """How a workload is sent."""

    url: str
    target: str = "openai_chat"
    model: str | None = None
    """None: the server is asked."""
    seed: int = 0
    tokenizer: str | None = None
    turns: Literal["closed", "open"] = "closed"
    answers: Literal["server", "synthetic"] = "server"
    workers: int | None = None
    key_env: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    forced: bool = True
    timeout_s: float = 600.0
    most_open: int = 0
    quick_ack: bool = False
    event_times: bool = False
    audio_tokens_per_s: float = 25.0
    tls: Tls = field(default_factory=Tls)
    probe: bool = True
    metrics: bool = True


def key_of(key_env: str | None) -> str | None:
    """The API key, from the environment. Raises UsageError where there is none under that name."""
    if key_env is None:
        return None
    if not os.environ.get(key_env):
        raise UsageError(f"--api-key-env {key_env}: the environment has no {key_env}")
    return os.environ[key_env]
