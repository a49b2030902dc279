"""The options of verbs that read a trace, once or as often as they need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundswell.cli import _options as take
from groundswell.cli._traces import say_reading, through
from groundswell.errors import DataError, UsageError

if TYPE_CHECKING:
    from groundswell.formats.reading import Trace
    from groundswell.replay.source import Source
    from groundswell.table import Workload


@dataclass(frozen=True)
class Reading:
    """How a trace is read (:func:`groundswell.cli._groups.with_options`)."""

    from_: take.From = None
    columns: take.Map = None
    time_unit: take.TimeUnit = None
    block_tokens: take.TableBlockTokens = None
    client_by: take.ClientBy = None
    bad_rows: take.BadRows = "stop"
    dequantise: take.Dequantise = False

    def trace(self, path: Path) -> Trace:
        """The trace in a file. Raises UsageError for clients, DataError for results."""
        from groundswell.formats.reading import read

        self._refuse_others(path)
        return read(path, self.from_, **self._how())

    def opened(self, path: Path) -> Source:
        """The workload in a file, to be read as often as it is needed; what a person should know of it on stderr."""
        from groundswell.replay.source import opened

        def gone_through(trace: Trace, work: Callable[[Iterator[Workload]], Any]) -> Any:
            return through(trace, f"reading {path.name}", work)

        self._refuse_others(path)
        source = opened(path, self.from_, through=gone_through, **self._how())
        if source.trace is not None:
            say_reading(source.trace)
        return source

    def whole(self, path: Path) -> Workload:
        """All of the workload in a file, in memory. Raises UsageError for one without a request."""
        import polars as pl

        from groundswell.table import COLUMNS, Workload, client_column

        with self.opened(path) as source:
            frames = list(source.blocks(tuple(COLUMNS)))
            clients, metadata = source.clients, dict(source.metadata)
        if not frames:
            raise UsageError(f"{path}: holds no request")
        frame = pl.concat(frames, rechunk=True).drop("row")
        named = frame.with_columns(client_column(frame["client"].to_numpy(), clients))
        return Workload(named, metadata).checked(str(path))

    def _refuse_others(self, path: Path) -> None:
        """Raises for what is no traffic, but something else of ours."""
        if _holds_clients(path):
            raise UsageError(
                f"{path}: is clients that traffic is drawn from; first: groundswell generate {path} -o workload.parquet"
            )
        if not self.columns and _holds_results(path):
            raise DataError(f"{path}: is results, not a workload")

    def _how(self) -> dict[str, Any]:
        """What reading takes, beside the format."""
        return {
            "columns": _mapping(self.columns or ()),
            "time_unit": self.time_unit,
            "block_tokens": self.block_tokens,
            "client_by": self.client_by,
            "bad_rows": self.bad_rows,
            "dequantise": self.dequantise,
        }


def _holds_clients(path: Path) -> bool:
    """Whether ``generate`` would take it."""
    if path.is_file():
        return path.suffix in (".pool", ".toml")
    if path.is_dir():
        from groundswell.clients.servegen import list_servegen

        return path in list_servegen(path)
    from groundswell.population import embedded_names

    return str(path) in embedded_names()


def _holds_results(path: Path) -> bool:
    """Whether it is a file as ``replay`` and ``simulate`` write it."""
    import polars as pl

    if not path.is_file() or path.suffix != ".parquet":
        return False
    try:
        there = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError):
        return False  # whoever reads it tells
    return "due_s" in there and "asked_tokens" in there and "arrival_s" not in there


def _mapping(texts: Sequence[str]) -> dict[str, str] | None:
    columns: dict[str, str] = {}
    for text in texts:
        ours, equals, theirs = (piece.strip() for piece in text.partition("="))
        if not (ours and equals and theirs):
            raise UsageError(f"--map {text}: say OURS=THEIRS, such as arrival=TIMESTAMP")
        if ours in columns:
            raise UsageError(f"--map {text}: {ours} is given twice")
        columns[ours] = theirs
    return columns or None
