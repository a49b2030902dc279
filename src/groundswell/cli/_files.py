"""How verbs write the files that the library leaves to them: whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from groundswell.errors import OutputError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from groundswell.clients import ClientPool


def write_pool_and_say(pool: ClientPool, path: Path) -> None:
    """Write a .pool file and print what was written."""
    from groundswell.clients.pool_file import write_pool
    from groundswell.units import show_bytes

    if path.suffix != ".pool":
        raise UsageError(f"{path}: a pool file's name ends in .pool")
    write_pool(pool, path)
    print(f"wrote {pool} to {path}, {show_bytes(path.stat().st_size)}")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the file's ending: beside its place first, then moved there."""
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{path}: the curves are written to a file that ends in .csv or .parquet")
    beside = path.with_name(path.name + ".partial")
    try:
        if path.suffix == ".csv":
            frame.write_csv(beside)
        else:
            frame.write_parquet(beside)
        beside.replace(path)
    except OSError as fault:
        beside.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {fault.strerror or fault}") from None
