"""Options that several verbs take together: a dataclass of them, which a verb asks for in one parameter."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar, get_type_hints

Returned = TypeVar("Returned")


def with_options(**defaults: Any) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Make of each parameter of a verb whose type is a dataclass an option for each of its fields; ``defaults`` are
    the verb's own for some of them.

    The fields' types are those that typer takes for parameters, with ``Annotated`` saying what help tells.
    """

    def of(verb: Callable[..., Returned]) -> Callable[..., Returned]:
        signature = inspect.signature(verb, eval_str=True)
        groups: dict[str, Any] = {
            name: parameter.annotation
            for name, parameter in signature.parameters.items()
            if dataclasses.is_dataclass(parameter.annotation)
        }

        @wraps(verb)
        def called(**given: Any) -> Returned:
            for place, group in groups.items():
                given[place] = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
            return verb(**given)

        parameters = [
            each
            for name, parameter in signature.parameters.items()
            for each in (_fields(groups[name], defaults) if name in groups else [parameter])
        ]
        named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        called.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        return called

    return of


def _fields(group: Any, defaults: dict[str, Any]) -> Iterator[inspect.Parameter]:
    types = get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        default = defaults.get(field.name, field.default)
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[field.name]
        )
