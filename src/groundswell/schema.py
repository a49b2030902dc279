"""What columns a table can have, and of which types: what workloads and results check alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from groundswell.errors import DataError

Types = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class Schema:
    """The columns that a table must have and those that it can have, with their types. One that is an Enum may have any
    categories; ``whose`` columns they are is for messages."""

    whose: str
    required: Types
    optional: Types

    @property
    def columns(self) -> dict[str, pl.DataType]:
        """All of them, in their order."""
        return {**self.required, **self.optional}

    def check(self, types: Types, where: str) -> None:
        """Raise DataError, which begins with ``where``, for a column that is missing, unknown or of another type."""
        for name in self.required:
            if name not in types:
                raise DataError(f"{where}: column {name!r} is missing; it has {', '.join(types) or 'no columns'}")
        known = self.columns
        for name, dtype in types.items():
            if name not in known:
                raise DataError(f"{where}: column {name!r} is none of {self.whose}: {', '.join(known)}")
            wanted = known[name]
            if dtype != wanted and not (isinstance(wanted, pl.Enum) and isinstance(dtype, pl.Enum)):
                raise DataError(f"{where}: column {name!r} is {dtype}, not {_short(wanted)}")

    def converted(
        self, frame: pl.DataFrame, where: str, alike: Callable[[pl.DataType, pl.DataType], bool]
    ) -> pl.DataFrame:
        """The columns of ``frame`` that are known, of the types that they should have; text becomes an Enum where one
        is meant.

        ``alike(dtype, wanted)`` tells whether a column of the one type says what one of the other would. Raises
        DataError for what cannot be converted, as :meth:`check` does.
        """
        known = self.columns
        frame = frame.select(name for name in known if name in frame.columns)
        for name, dtype in frame.schema.items():
            wanted = known[name]
            try:
                if isinstance(wanted, pl.Enum) and isinstance(dtype, (pl.String, pl.Categorical)):
                    text = frame[name].cast(pl.String)
                    frame = frame.with_columns(text.cast(pl.Enum(text.drop_nulls().unique(maintain_order=True))))
                elif dtype != wanted and alike(dtype, wanted):
                    frame = frame.with_columns(frame[name].cast(wanted))
            except pl.exceptions.InvalidOperationError:
                raise DataError(f"{where}: column {name!r} holds numbers that do not fit {_short(wanted)}") from None
        self.check(frame.schema, where)
        return frame


def _short(dtype: pl.DataType) -> str:
    return "Enum" if isinstance(dtype, pl.Enum) else str(dtype)
