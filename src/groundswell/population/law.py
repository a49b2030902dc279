"""Population: the law that a pool's clients are drawn from, a few hundred figures in a readable text file.

Clients are counted from the largest: rank 1 sends the most. Their ranks are cut into a few **strata**; within a stratum
each property of a client (how often it is on, how bursty it is, how long its prompts are, …) has its distribution as a
row of a table, and what properties have to do with each other is a list of rank correlations. The strata are what ties
the lengths and the burstiness to the size of a client: smoothly enough for a law, closely enough for the few clients
that make most of the traffic.

This module holds the figures and their file. It imports neither NumPy nor Numba, so a population is known at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from groundswell.errors import DataError, OutputError, UsageError

if TYPE_CHECKING:
    from groundswell.clients.pool import ClientPool

Rows: TypeAlias = tuple[tuple[float, ...], ...]
"""A property of clients: a row for each stratum, in it the means over parts of its requests, rising."""

Law: TypeAlias = tuple[float, float, float]
"""A log-normal law: its median, the standard deviation of the log, and the largest value, to which others are cut."""

RATE = "rate"
"""What a client's size within its stratum is called among the correlations."""

DATA = Path(__file__).parent.parent / "data"


class Fitted(Struct, frozen=True, forbid_unknown_fields=True):
    """What the figures were fitted to, and the grids they are on."""

    clients: Annotated[int, Meta(ge=1, description="clients that sent anything")]
    clients_with_lengths: Annotated[int, Meta(ge=1, description="of those, the ones whose lengths are known")]
    span_s: Annotated[float, Meta(gt=0, description="length of the pool, s")]
    period_s: Annotated[float, Meta(gt=0, description="a client sends its mean rate in each period of this length, s")]
    window_s: Annotated[float, Meta(gt=0, description="grid of rates and burstiness, s")]
    slot_s: Annotated[float, Meta(gt=0, description="grid of lengths, s")]


class Strata(Struct, frozen=True, forbid_unknown_fields=True):
    """How tables are laid out: a row a stratum of ranks, in it the means over PARTS of its requests, least first."""

    first_rank: Annotated[
        tuple[int, ...], Meta(min_length=1, description="where each stratum begins; rank 1 sends the most")
    ]


class Rates(Struct, frozen=True, forbid_unknown_fields=True):
    """Mean rate of a client by its rank: straight lines between these points on log-log paper."""

    rank: Annotated[tuple[int, ...], Meta(min_length=1)]
    rate_per_s: Annotated[tuple[float, ...], Meta(min_length=1)]
    beyond: Annotated[
        float, Meta(ge=0, description="past the last rank a client's rate is this over its rank (Zipf), requests/s")
    ]


class Activity(Struct, frozen=True, forbid_unknown_fields=True):
    """When a client is on. It is on while a hidden Gaussian walk is above a level."""

    share: Annotated[Rows, Meta(description="share of the windows in which the client sends")]
    busiest: Annotated[
        tuple[float, ...],
        Meta(description="of each stratum, requests/s: the share above is raised until the rate while on is no larger"),
    ]
    memory: Annotated[Rows, Meta(description="correlation of the walk from a window to the next: near 1 for long runs")]
    follows: Annotated[
        Rows, Meta(description="correlation of the walk with the rhythm below: on at the busy hours, or the quiet")
    ]


class Rhythm(Struct, frozen=True, forbid_unknown_fields=True):
    """The day and the week of all clients together, relative to their mean, and how far a client follows them."""

    hour: Annotated[
        tuple[float, ...], Meta(min_length=24, max_length=24, description="hours 0 to 23 of the pool's clock")
    ]
    day: Annotated[tuple[float, ...], Meta(description="days of the week from the pool's first; none if it is shorter")]
    follows: Annotated[
        Rows, Meta(description="the power of the above in the client's rate: 1 follows, 0 is even, below 0 opposes")
    ]


class Noise(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left of the log rate of a client while it is on."""

    spread: Annotated[Rows, Meta(description="its scale, natural log: what makes the CV of the rate right")]
    memory: Annotated[Rows, Meta(description="correlation from a window to the next")]
    shape: Annotated[tuple[float, ...], Meta(min_length=3, description="standardised, at the quantiles of SHAPE")]


class Burstiness(Struct, frozen=True, forbid_unknown_fields=True):
    """The coefficient of variation (CV) of a client's gaps, window by window, and the family of its arrivals."""

    cv: Annotated[Rows, Meta(description="median over the client's windows, weighted by rate as all of this table")]
    below: Annotated[Rows, Meta(description="log of the median over the 10 % quantile")]
    above: Annotated[Rows, Meta(description="log of the 90 % quantile over the median")]
    shape: Annotated[
        tuple[float, ...],
        Meta(min_length=3, description="log CV over its median, in the above, at the quantiles of SHAPE"),
    ]
    weibull: Annotated[
        tuple[float, ...],
        Meta(
            description="log odds of Weibull against Gamma: constant, per log CV, its square, and log requests a window"
        ),
    ]


class Lengths(Struct, frozen=True, forbid_unknown_fields=True):
    """A field of whole numbers: how clients differ, how a client's requests differ, how a client changes over time."""

    field: str
    mean: Annotated[Rows, Meta(description="a client's mean")]
    spread: Annotated[Rows, Meta(description="standard deviation of the log within a client and slot")]
    spike: Annotated[Rows, Meta(description="probability of the commonest value within a client and slot")]
    drift: Annotated[Rows, Meta(description="standard deviation of the log of the mean over a client's slots")]
    drift_memory: Annotated[float, Meta(ge=-1, le=1, description="correlation of the drift from a slot to the next")]
    shape: Annotated[
        tuple[float, ...], Meta(min_length=3, description="standardised log within a client, at the quantiles of SHAPE")
    ]
    largest: Annotated[float, Meta(gt=0, description="no value is larger")]
    sizes: Annotated[tuple[float, ...], Meta(description="standard sizes, if any")] = ()
    sized: Annotated[
        float, Meta(ge=0, le=1, description="share of clients (by rate) whose values are all standard sizes")
    ] = 0.0


class Counts(Struct, frozen=True, forbid_unknown_fields=True):
    """Items in a request. A mean of at most 1 is a yes or no; above, one more than a geometric number."""

    field: str
    mean: Annotated[Rows, Meta(description="a client's mean; 0 for clients that never send any")]


class Reasoning(Struct, frozen=True, forbid_unknown_fields=True):
    """The reasoning part of the output: two modes, within a client and between clients, apart at ``split``."""

    split: Annotated[float, Meta(gt=0, lt=1, description="the valley between the modes")]
    high: Annotated[Rows, Meta(description="share of a client's requests above the split")]
    low_mean: Annotated[Rows, Meta(description="a client's mean below the split")]
    high_mean: Annotated[Rows, Meta(description="a client's mean above it")]
    low_spread: Annotated[float, Meta(ge=0, description="standard deviation below the split within a client")]
    high_spread: Annotated[float, Meta(ge=0, description="and above it")]


class Conversations(Struct, frozen=True, forbid_unknown_fields=True):
    """Conversations: of how many turns, and what the later ones are like. All clients that converse do so alike."""

    source: Annotated[str, Meta(description="where these figures are from")]
    clients: Annotated[float, Meta(gt=0, le=1, description="share of the clients that converse")]
    multi_turn: Annotated[
        float, Meta(ge=0, le=1, description="share of their requests in conversations of two turns and more")
    ]
    turns: Annotated[float, Meta(ge=2, description="mean turns of those; two, and a geometric number more")]
    longest: Annotated[int, Meta(ge=2, le=32_767, description="no conversation has more turns")]
    think_median_s: Annotated[float, Meta(gt=0, description="median pause from a reply's end to the next turn, s")]
    think_spread: Annotated[float, Meta(ge=0, le=5, description="standard deviation of its log")]
    longest_think_s: Annotated[float, Meta(gt=0, le=16_777, description="no pause is longer, s")]
    new_median_tokens: Annotated[float, Meta(gt=0, description="median of what a later turn adds to its context")]
    new_spread: Annotated[float, Meta(ge=0, le=5, description="standard deviation of its log")]
    kept: Annotated[float, Meta(ge=0, le=1, description="share of its context that a later turn keeps")] = 1.0
    regenerated: Annotated[float, Meta(ge=0, le=1, description="share of later turns that ask again")] = 0.0


class Agents(Struct, frozen=True, forbid_unknown_fields=True):
    """Clients that are agents: sessions of tasks, each a loop of model calls with tools between them.

    A law is its median, the standard deviation of its log, and the largest value.
    """

    source: Annotated[str, Meta(description="where these figures are from")]
    sessions: Annotated[int, Meta(ge=1, le=10_000, description="sessions drawn for each client")]
    beginnings: Annotated[
        int, Meta(ge=1, le=1000, description="system prompts with their tools, shared by all clients")
    ]
    beginning_tokens: Annotated[Law, Meta(description="their lengths")]
    popularity: Annotated[float, Meta(ge=0, le=20, description="the k-th is used in proportion to k to the minus this")]
    first_tokens: Annotated[Law, Meta(description="the prompt of a session's first call, beginning and all")]
    tasks: Annotated[
        float, Meta(ge=1, le=1000, description="mean tasks of a session; one, and a geometric number more")
    ]
    calls: Annotated[float, Meta(ge=1, le=1000, description="mean model calls of a task, sub-agents' aside")]
    calls_cv: Annotated[float, Meta(gt=0, le=20, description="their coefficient of variation (log-normal)")]
    tools: Annotated[
        float,
        Meta(ge=0, description="mean tool calls of a task: one at least between two model calls, at once if more"),
    ]
    tool_s: Annotated[Law, Meta(description="pause while tools run, s")]
    tool_tokens: Annotated[Law, Meta(description="what one tool call adds to the context")]
    human_s: Annotated[Law, Meta(description="pause until a person sets the next task, s")]
    human_tokens: Annotated[Law, Meta(description="what that adds to the context")]
    output_tokens: Annotated[Law, Meta(description="a model call's reply")]
    most_context_tokens: Annotated[int, Meta(ge=1000, description="a context that would be longer is compacted")]
    compacted: Annotated[float, Meta(ge=0, le=1, description="share of steps that compact it before")]
    compacted_tokens: Annotated[Law, Meta(description="what a compaction leaves, with the beginning")]
    forks: Annotated[float, Meta(ge=0, le=1, description="share of steps that start sub-agents")]
    fork_width: Annotated[
        float, Meta(ge=1, le=16, description="mean sub-agents at once; one, and a geometric number more")
    ]
    fork_calls: Annotated[
        float, Meta(ge=1, le=1000, description="mean model calls of a sub-agent, like those of a task")
    ]
    fork_tokens: Annotated[Law, Meta(description="what a sub-agent's first prompt has beside the beginning")]
    return_tokens: Annotated[Law, Meta(description="what sub-agents add to their parent's context when they are done")]
    block_tokens: Annotated[int, Meta(ge=1, description="size of a prefix block")]


class Dependence(Struct, frozen=True, forbid_unknown_fields=True):
    """Rank correlations of a client's properties within its stratum (a Gaussian copula); all others are independent."""

    pairs: tuple[tuple[str, str, float], ...]


class Population(Struct, frozen=True, forbid_unknown_fields=True):
    """The law a pool's clients are drawn from; :func:`groundswell.population.fit_population` finds it."""

    name: str
    command: Annotated[str, Meta(description="made by this command")]
    source: Annotated[str, Meta(description="fitted to")]
    fitted: Fitted
    strata: Strata
    rates: Rates
    activity: Activity
    rhythm: Rhythm
    noise: Noise
    burstiness: Burstiness
    dependence: Dependence
    lengths: tuple[Lengths, ...] = ()
    counts: tuple[Counts, ...] = ()
    reasoning: Reasoning | None = None
    conversations: Conversations | None = None
    agents: Agents | None = None

    def __post_init__(self) -> None:
        from groundswell.population.check import check

        check(self)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields its clients have lengths for, those of conversations aside."""
        named = [*(one.field for one in self.lengths), *(one.field for one in self.counts)]
        return (*named, "reason_ratio") if self.reasoning else tuple(named)

    def properties(self) -> dict[str, Rows]:
        """Every property that is drawn for a client, by name, in the order that stratified draws prefer."""
        out: dict[str, Rows] = {}
        for one in self.lengths:
            out[f"{one.field}.mean"] = one.mean
        for count in self.counts:
            out[f"{count.field}.mean"] = count.mean
        if self.reasoning:
            for key in ("high", "low_mean", "high_mean"):
                out[f"reason_ratio.{key}"] = getattr(self.reasoning, key)
        out |= {"cv": self.burstiness.cv, "activity": self.activity.share, "noise": self.noise.spread}
        out |= {"follows": self.rhythm.follows, "cv_above": self.burstiness.above, "cv_below": self.burstiness.below}
        for one in self.lengths:
            for key in ("spread", "spike", "drift"):
                out[f"{one.field}.{key}"] = getattr(one, key)
        out |= {"activity_memory": self.activity.memory, "activity_follows": self.activity.follows}
        return out | {"noise_memory": self.noise.memory}

    @classmethod
    def load(cls, source: str | Path) -> Population:
        """An embedded population by name (see :func:`embedded_names`), or one from a TOML file."""
        path = DATA / f"{source}.toml" if str(source) in embedded_names() else Path(source)
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, IsADirectoryError) as fault:
            known = ", ".join(embedded_names())
            raise UsageError(f"{source} is neither an embedded population ({known}) nor a file") from fault
        except (OSError, UnicodeDecodeError) as fault:
            raise DataError(f"{path}: cannot be read as text: {fault}") from fault
        try:
            return msgspec.toml.decode(text, type=cls)
        except msgspec.ValidationError as fault:
            raise DataError(f"{path}: {fault}") from fault
        except msgspec.DecodeError as fault:
            raise DataError(f"{path}: not TOML: {fault}") from fault

    def save(self, path: str | Path) -> None:
        """Write the figures as TOML with a comment on each; beside the target first, then renamed."""
        from groundswell.population.text import as_toml

        path = Path(path)
        beside = path.with_name(f".{path.name}.partial")
        try:
            beside.write_text(as_toml(self), "utf-8")
            beside.replace(path)
        except OSError as fault:
            beside.unlink(missing_ok=True)
            raise OutputError(f"{path}: cannot be written: {fault.strerror or fault}") from fault

    def sample(self, n: int, seed: int, span_s: float = 86_400.0, start_s: float = 0.0) -> ClientPool:
        """The pool of the first ``n`` clients of the draw ``seed``, from ``start_s`` for ``span_s`` seconds.

        Client ``i`` is the same whatever ``n`` is, and its windows are the same whatever part of time is asked for. The
        rates are a law's (``stated``). With as many clients as were fitted the total is the fitted pool's mean rate in
        every period; fewer clients are its largest, more add ever smaller ones. Rates are of requests, whether they
        come in conversations or not; agents come with their sessions (:class:`groundswell.clients.sessions.Sessions`).
        """
        from groundswell.population.sample import sample

        return sample(self, n, seed, span_s, start_s)


def embedded_names() -> tuple[str, ...]:
    """The populations that come with the package."""
    return tuple(sorted(path.stem for path in DATA.glob("*.toml")))
