"""A pool from what a user names: a population, a file of one, a clients file, a pool file, or a ServeGen folder."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from groundswell.clients.pool import ClientPool
from groundswell.errors import DataError, UsageError
from groundswell.units import show_bytes, show_duration

POOL_FILE = ".pool"
DAY_S = 86_400.0
WINDOW_S = 600.0
BYTES_A_CLIENT, BYTES_A_WINDOW = 4_000, 30  # of memory, at the peak of drawing clients from a law
BYTES_OF_SESSIONS = 400_000  # of a client that comes with whole ones


def open_source(
    text: str, *, clients: int | None = None, seed: int = 0, span_s: float | None = None, start_s: float = 0.0
) -> ClientPool:
    """The pool that ``text`` names.

    A file or folder of that name comes before an embedded population. A law (a population or a clients file) is laid
    out over ``span_s`` seconds, a day if not given, from ``start_s`` on its clock; a recorded pool keeps its own.
    ``clients`` is how many to draw: from a population any number, from a pool at random without replacement.
    """
    path = Path(text).expanduser()
    span = DAY_S if span_s is None else span_s
    if path.is_dir():
        from groundswell.clients.servegen import read_servegen

        return _drawn(read_servegen(path), clients, seed)
    if path.is_file() and path.suffix == POOL_FILE:
        from groundswell.clients.pool_file import read_pool

        return _drawn(read_pool(path), clients, seed)
    if path.is_file() and path.suffix == ".toml":
        if _lists_clients(path):
            from groundswell.clients.client_file import read_clients

            return _drawn(read_clients(path, span_s=span, window_s=WINDOW_S, start_s=start_s), clients, seed)
        return _sampled(path, clients, seed, span, start_s)
    if path.exists():
        raise UsageError(f"{text} is no source of clients: not a folder, a {POOL_FILE} file or a .toml file")
    return _sampled(text, clients, seed, span, start_s)


def is_law(text: str) -> bool:
    """Whether ``text`` names a law, which has no span of its own: a population or a clients file."""
    path = Path(text).expanduser()
    return not path.exists() or path.suffix == ".toml"


def _sampled(name: str | Path, clients: int | None, seed: int, span_s: float, start_s: float) -> ClientPool:
    from groundswell.population import Population, embedded_names

    if isinstance(name, str) and name not in embedded_names():
        raise UsageError(
            f"there is no file or folder {name!r}, nor a population of that name; "
            f"the populations are {', '.join(embedded_names())}"
        )
    law = Population.load(str(name))
    count = law.fitted.clients if clients is None else clients
    check_fits(count, span_s, whole_sessions=law.agents is not None)
    return law.sample(count, seed, span_s=span_s, start_s=start_s)


def check_fits(clients: int, span_s: float, *, whole_sessions: bool) -> None:
    """Raise UsageError where so many clients of a law over ``span_s`` seconds need more memory than there is."""
    own = BYTES_A_CLIENT + BYTES_OF_SESSIONS * whole_sessions
    need = float(clients) * (own + BYTES_A_WINDOW * span_s / WINDOW_S)
    there_is = float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    if need > there_is:
        raise UsageError(
            f"{clients:,} clients over {show_duration(span_s)} need {show_bytes(need)} of memory, and this machine has "
            f"{show_bytes(there_is)}; draw fewer clients, or over less time"
        )


def _drawn(pool: ClientPool, clients: int | None, seed: int) -> ClientPool:
    return pool if clients is None else pool.sample(clients, seed)


def _lists_clients(path: Path) -> bool:
    """Whether a TOML file holds clients, one table each, and not the law of a population."""
    try:
        return isinstance(tomllib.loads(path.read_text(encoding="utf-8-sig")).get("client"), list)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{path}: not TOML: {fault}") from None
