"""Profiles of one's own as TOML: every key known, every value of its type, faults with their line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from groundswell.errors import DataError, UsageError
from groundswell.simulate.parts import StepCost
from groundswell.whole_file import appearing, faults_of

_Keys = dict[str, tuple[type, str]]

KEYS: _Keys = {
    "model": (str, "what was served"),
    "gpu": (str, "on which processors,"),
    "tp": (int, "so many to a layer"),
    "pp": (int, "and so many stages of layers, each of tp processors"),
    "engine": (str, "by which engine, of which version"),
    "source": (str, "where the figures are from"),
    "error": (float, "mean absolute relative error on the steps that they were fitted to, as a share"),
    "held_out_error": (float, "the same on others"),
    "most_step_tokens": (int, "the largest step,"),
    "most_context_tokens": (int, "and the longest context for which they are known to hold"),
    "kv_tokens": (int, "tokens that fit in the cache of keys and values, as the engine says when it starts"),
    "overhead_s": (float, "what the host adds to each step, in seconds,"),
    "prompt_host_s": (float, "and what it takes for one that reads a prompt, while the processors work: no less"),
}
KERNELS: _Keys = {
    "c0_s": (float, "any step"),
    "token_s": (float, "each of its tokens: a prompt's, or one for each request that decodes"),
    "hinge_s": (float, "more for each token beyond so many:"),
    "hinge_tokens": (float, ""),
    "decode_s": (float, "each request that decodes"),
    "context_s": (float, "each token of the contexts of those that decode"),
    "prefill_s": (float, "each token of a prompt and each that it looks back on: chunk * (what was there + chunk / 2)"),
    "mixed_s": (float, "more for each token of context, where the step also reads a prompt"),
    "prompt_s": (float, "more for a step that reads a prompt,"),
    "prompt_least_s": (float, "and what such a step takes at least"),
}
NEEDED = ("model", "gpu", "engine")
_TABLE = "kernels"
_HEAD = "# A groundswell profile: how long the steps of an engine take."
_TABLE_HEAD = "\n# What a step takes on the processors, in seconds, for"
_KINDS: dict[type, str] = {str: "a text", int: "a whole number", float: "a number"}


def read_keys(path: Path) -> dict[str, Any]:
    """What a file says: :data:`KEYS`, and ``kernels`` as a :class:`StepCost`.

    Raises UsageError where there is no such file, DataError with the line where it says something else.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise DataError(f"{path}: is not text in UTF-8, so not TOML") from fault
    except OSError as fault:
        raise UsageError(f"{path}: cannot be read: {fault.strerror}") from fault
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # TOMLDecodeError, or a number of thousands of digits
        raise DataError(f"{path}: not TOML: {fault}") from fault
    kernels = content.pop(_TABLE, {})
    if not isinstance(kernels, dict):
        raise DataError(f"{_place(path, text, _TABLE)}: {_TABLE} is a table: a line [{_TABLE}] with its keys below")
    found = _checked(path, text, "", content, KEYS, NEEDED)
    return found | {_TABLE: StepCost(**_checked(path, text, _TABLE, kernels, KERNELS, ("c0_s",)))}


def write_keys(path: Path, found: Mapping[str, Any]) -> None:
    """The same as a file; keys that are None are left out. It appears when it is whole."""
    lines = [_HEAD]
    for name, (_, what) in KEYS.items():
        if found[name] is not None:
            lines += [f"# {what}", _line(name, found[name])]
    lines += [_TABLE_HEAD, f"[{_TABLE}]"]
    for name, (_, what) in KERNELS.items():
        lines += [f"# {what}"] if what else []
        lines.append(_line(name, getattr(found[_TABLE], name)))
    with appearing(path) as beside, faults_of(path):
        beside.write_text("\n".join(lines) + "\n", "utf-8")


def _checked(
    path: Path, text: str, table: str, content: dict[str, Any], keys: _Keys, needed: tuple[str, ...]
) -> dict[str, Any]:
    where = f" in [{table}]" if table else ""
    for name, value in content.items():
        if name not in keys:
            others = f" and the table {_TABLE}" if not table else ""
            raise DataError(
                f"{_place(path, text, name, table)}: unknown key {name!r}{where}; there are {', '.join(keys)}{others}"
            )
        kind = keys[name][0]
        fits = type(value) is kind or (kind is float and type(value) is int)
        if not fits or (isinstance(value, int) and abs(value) >= 2**53):
            raise DataError(f"{_place(path, text, name, table)}: {name} must be {_KINDS[kind]}, not {value!r:.60}")
    for name in needed:
        if name not in content:
            raise DataError(f"{path}: {name!r} is missing{where} ({keys[name][1].strip(' ,')})")
    return {name: float(value) if keys[name][0] is float else value for name, value in content.items()}


def _place(path: Path, text: str, key: str, table: str = "") -> str:
    """The file, and the line of a key or of a table's heading, where it is written as one expects."""
    inside = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := re.match(r"\s*\[+\s*([^\[\]]*?)\s*\]", line):
            inside = heading[1]
            here = inside == key and not table
        else:
            here = inside == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line) is not None
        if here:
            return f"{path}:{number}"
    return str(path)


def _line(name: str, value: Any) -> str:
    return tomli_w.dumps({name: value}).rstrip("\n")
