"""How verbs write the files that the library leaves to them: whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundswell.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from groundswell.clients import ClientPool
    from groundswell.table import Workload


def write_pool_and_say(pool: ClientPool, path: Path) -> None:
    """Write a .pool file and print what was written."""
    from groundswell.clients.pool_file import write_pool
    from groundswell.units import show_bytes, show_duration

    if path.suffix != ".pool":
        raise UsageError(f"{path}: a pool file's name ends in .pool")
    write_pool(pool, path)
    rate = f"{pool.mean_rate_per_s.sum():.4g} req/s"
    begin_s, end_s = pool.covered_s
    held = f"{len(pool):,} client{'s' * (len(pool) != 1)}, {show_duration(end_s - begin_s)}, {rate}"
    print(f"wrote {path}, {show_bytes(path.stat().st_size)}: {held}")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the file's ending: beside its place first, then moved there."""
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{path}: the curves are written to a file that ends in .csv or .parquet")
    from groundswell.whole_file import appearing, faults_of

    with appearing(path) as place, faults_of(path):
        frame.write_csv(place) if path.suffix == ".csv" else frame.write_parquet(place)


def with_turns(path: Path, to: str | None, turns: str | None) -> str | None:
    """The format ``to``, with its ``turns`` if asked for. Raises UsageError for a format that has no choice."""
    if turns is None:
        return to
    from groundswell import formats

    text = formats.format_of(path, to)
    name, _, given = text.partition(":")
    able = [one for one in formats.FORMATS if "turns" in getattr(formats.FORMATS[one], "__dataclass_fields__", {})]
    if name not in able:
        raise UsageError(f"--turns {turns}: {name} has no choice of what a turn's row holds; {', '.join(able)} have")
    if any(choice.partition("=")[0].strip() == "turns" for choice in given.split(",")):
        raise UsageError(f"--turns {turns}: the format {text} says it already")
    return f"{text}{',' if given else ':'}turns={turns}"


def write_workload(blocks: Iterable[Workload], path: Path, to: str | None, metadata: Mapping[str, Any]) -> int:
    """Write blocks in the format that is asked for, and say on stderr what of them it does not hold: the number of
    rows."""
    from groundswell import formats
    from groundswell.cli._print import note
    from groundswell.table import Workload

    latest: Workload | None = None

    def passing() -> Iterator[Workload]:
        nonlocal latest
        for block in blocks:
            latest = Workload(block.frame.clear(), block.metadata)
            yield block

    notes: list[str] = []
    rows = formats.write(passing(), path, format=to, metadata=metadata, notes=notes)
    name = formats.format_of(path, to)
    words = formats.dropped_by(name, latest) if latest is not None else []
    if words:
        note(f"dropped, as {name.partition(':')[0]} does not hold it: {', '.join(words)}")
    for text in notes:
        note(text)
    return rows
