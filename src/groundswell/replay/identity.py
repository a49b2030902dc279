"""Which server answers, and which models it has."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from groundswell.errors import GroundswellError, UsageError
from groundswell.replay.asking import Answer, Asker, UnansweredError
from groundswell.replay.picture import plain

_TIMEOUT_S = 10.0
_MOST_SHOWN = 8
_SERVERS = {
    "vllm": ("vLLM", "/version", "version"),
    "sglang": ("SGLang", "/get_server_info", "version"),
    "llamacpp": ("llama.cpp", "/props", "build_info"),
}
"""By who owns its models: a server's name, and where it tells its version, under which key."""
_HINTS = {
    "refused": "; is the server running, and is that its port?",
    "tls": "; --ca-file names a certificate to trust, and a server without TLS has an http:// URL",
    "protocol": "; a server with TLS has an https:// URL",
    "reset": "; a server with TLS has an https:// URL",
}
_STATUSES = {
    401: "; --api-key-env names the environment's variable that holds the key",
    403: "; --api-key-env names the environment's variable that holds the key",
    404: "; is that the URL of an API like OpenAI's, without /v1 and what follows?",
}


class Identity(NamedTuple):
    """A server; None where it does not say."""

    server: str | None
    version: str | None
    models: tuple[str, ...]
    """Those that it lists."""
    contexts: tuple[int | None, ...]
    """How many tokens a prompt and its reply may have together with each of them."""
    trouble: str = ""
    """Why it lists none, where it does not."""

    def context_tokens(self, model: str) -> int | None:
        """How many tokens a prompt and its reply may have together with ``model``."""
        return dict(zip(self.models, self.contexts, strict=True)).get(model)

    def model(self, url: str) -> str:
        """The one model it has. Raises UsageError where that is not one."""
        if len(self.models) == 1:
            return self.models[0]
        if not self.models:
            raise UsageError(f"{url} does not say which models it has ({self.trouble}): give --model")
        raise UsageError(f"{url} has {len(self.models)} models: {self.shown()}; say which with --model")

    def lacks(self, model: str) -> bool:
        """Whether it says which models it has, and ``model`` is none of them."""
        return bool(self.models) and model not in self.models

    def shown(self) -> str:
        """Its models' names, not too many of them."""
        return ", ".join(map(plain, self.models[:_MOST_SHOWN])) + ", …" * (len(self.models) > _MOST_SHOWN)


async def identify(asker: Asker, url: str) -> Identity:
    """Ask the server at ``url`` who it is. Raises GroundswellError where none is there."""
    try:
        listed = await asker.get("/v1/models", _TIMEOUT_S)
    except UnansweredError as fault:
        if fault.kind != "timeout":
            raise unanswered(url, fault, _HINTS.get(fault.kind, "")) from None
        return Identity(None, None, (), (), f"no answer from /v1/models in {_TIMEOUT_S:g} s")
    models = _models(listed)
    trouble = f"status {listed.status} from /v1/models" if not listed.good else "none from /v1/models"
    owner = next((model.owner for model in models if model.owner in _SERVERS), None)
    server, version = (_SERVERS[owner][0], await _version(asker, *_SERVERS[owner][1:])) if owner else (None, None)
    names, contexts = tuple(model.name for model in models), tuple(model.context_tokens for model in models)
    return Identity(server, version, names, contexts, trouble)


def unanswered(url: str, fault: UnansweredError, hint: str = "") -> GroundswellError:
    """What a person should know of a server that does not answer."""
    return GroundswellError(f"{url} cannot be used ({fault.kind}): {plain(str(fault))}{hint}")


def refused(url: str, path: str, status: int, message: str, *, hint: str = "") -> GroundswellError:
    """The same of one that answers with a status that is none of success."""
    return GroundswellError(f"{url} answered {path} with {status}: {message}{hint or _STATUSES.get(status, '')}")


async def _version(asker: Asker, path: str, key: str) -> str | None:
    try:
        answer = await asker.get(path, _TIMEOUT_S)
    except UnansweredError:
        return None
    found = _json(answer)
    version = found.get(key) if isinstance(found, dict) else None
    if not isinstance(version, str) or version.endswith("unknown"):
        return None
    return plain(version)[:80]


class _Model(NamedTuple):
    name: str
    owner: str | None
    context_tokens: int | None


def _models(answer: Answer) -> list[_Model]:
    """The models in a list of OpenAI's API; none for anything else."""
    found = _json(answer)
    listed = found.get("data") if isinstance(found, dict) else None
    models = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [
        _Model(each["id"], owner if isinstance(owner := each.get("owned_by"), str) else None, _context(each))
        for each in models
        if isinstance(each.get("id"), str)
    ]


def _context(model: dict[str, Any]) -> int | None:
    """vLLM and SGLang say ``max_model_len``, Dynamo ``context_window`` (0 where it does not know), llama.cpp the
    ``n_ctx`` of a slot, in ``meta``."""
    meta = model.get("meta")
    said = [model.get(name) for name in ("max_model_len", "context_window", "context_length")]
    said.append(meta.get("n_ctx") if isinstance(meta, dict) else None)
    return next((tokens for tokens in said if isinstance(tokens, int) and tokens > 1), None)


def _json(answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.body) if answer.good else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
