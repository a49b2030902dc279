"""What a characterization says, topic by topic, as plain figures: what the report draws and ``--json`` prints.

Times are in seconds from the trace's start, tokens are tokens, shares are between 0 and 1. Arrays are bounded in size
however long the trace is: a series has at most some 500 points, a curve some 200. A topic of which a trace holds
nothing is None in :class:`groundswell.characterize.Characterization`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan

from groundswell.stats.estimate import Estimate
from groundswell.stats.fits import NONE, Curve, Fit, Floats

UNKNOWN = Estimate()


@dataclass(frozen=True, eq=False)
class Series:
    """A quantity over time: ``value[i]`` in the ``width_s`` from ``start_s[i]`` on, from ``n[i]`` requests. A stretch
    that saw nothing is left out, or has nan."""

    width_s: float = 0.0
    start_s: Floats = field(default_factory=lambda: NONE)
    value: Floats = field(default_factory=lambda: NONE)
    n: Floats = field(default_factory=lambda: NONE)


@dataclass(frozen=True, eq=False)
class Band:
    """``middle`` with ``low`` and ``high`` around it, against ``x``; ``n[i]`` things each."""

    x: Floats = field(default_factory=lambda: NONE)
    middle: Floats = field(default_factory=lambda: NONE)
    low: Floats = field(default_factory=lambda: NONE)
    high: Floats = field(default_factory=lambda: NONE)
    n: Floats = field(default_factory=lambda: NONE)


# --- arrivals ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class GapWindow:
    """The inter-arrival times of one window: ``n`` of them, and the families fitted, first the one they ask for."""

    start_s: float
    n: int
    rate_per_s: float
    cv: float
    fits: tuple[Fit, ...]


@dataclass(frozen=True, eq=False)
class ArrivalFigures:
    """When requests come (ServeGen's findings 1 and 2, figures 1 and 2)."""

    requests: int
    span_s: float
    window_s: float
    rate_per_s: Estimate
    cv: Estimate
    """The CV of the gaps within windows, averaged with the windows' requests as weights."""
    rate: Series
    window_cv: Series
    example: GapWindow | None
    """The window with most requests: its fits have curves."""
    example_gaps: Curve
    """The empirical distribution of that window's gaps, in seconds."""
    windows: tuple[GapWindow, ...]
    """The windows that were tested, spread evenly over the trace: at most 48."""
    best: dict[str, float]
    """For each family the share of tested windows that ask for it (:func:`groundswell.stats.fits.fit`)."""
    accepted: dict[str, float]
    """For each family the share of tested windows in which the bootstrap does not reject it at 5 %."""
    dispersion: Band
    """Index of dispersion of counts (variance over mean) against the scale in seconds, 0.1 s to an hour as far as the
    trace allows. 1 at every scale for a Poisson process."""
    autocorrelation: Band
    """Of the number of requests per stretch, against the lag in seconds; low and high are the band of a series without
    any correlation."""
    day: Band
    """Rate per second against the hour of the day (0.5 … 23.5); empty where the trace does not say or is too short."""
    day_ratio: Estimate
    """Rate of the busiest hour of the day over that of the quietest: nan unless the trace sees the whole day."""
    day_strength: Estimate
    """Share of the variance of the hourly rate that the hour of the day explains; needs two days."""
    week: Series
    """Rate per second in each hour of the mean week (168 values); empty for less than a week."""
    week_strength: Estimate
    """Share of the variance of the hourly rate that the hour of the week explains beyond that of the day; two weeks."""
    rate_shift: Estimate
    """The ratio of the 95th to the 5th percentile of the windows' rates."""
    cv_shift: Estimate
    """The same of the windows' CVs, of windows with at least 100 requests."""
    tick_s: float
    """The clock's resolution if gaps below it were lost (at least a tenth of gaps are 0 and the rest are multiples of
    it); 0 if arrivals are continuous."""
    rate_shift_by_chance: float = nan
    """What ``rate_shift`` would be at a constant rate, with arrivals as uneven as they are from one stretch of five to
    ten minutes to the next."""


# --- lengths ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Period:
    """One stretch of time: the field's mean and quantiles there."""

    start_s: float
    n: int
    mean: Estimate
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, eq=False)
class Field:
    """The distribution of one kind of length over all requests that have it."""

    name: str
    n: int
    mean: Estimate
    p50: Estimate
    p90: Estimate
    p99: Estimate
    most: float
    cv: Estimate
    histogram: Curve
    """The share of requests (y) in buckets of equal ratio, against the bucket's middle (x)."""
    tail: Curve
    """The share of requests of at least x tokens."""
    fits: tuple[Fit, ...]
    """lognormal, pareto, pareto+lognormal, exponential, gamma, zipf: first the one they ask for, each with its curve at
    the x of ``cdf``; parameters carry the names that :mod:`groundswell.lengths` uses."""
    cdf: Curve
    periods: tuple[Period, ...]
    shift: Estimate
    """Largest over smallest mean of a period."""
    series: Series
    """The mean over time."""


@dataclass(frozen=True, eq=False)
class LengthFigures:
    """How long prompts and replies are (ServeGen's findings 3 and 4, figures 3 and 4)."""

    fields: dict[str, Field]
    """``input`` and ``output``."""
    spearman: Estimate
    """Rank correlation of input and output over all requests."""
    by_input: Band
    """Median and 90 % band of the output, against the input (bins of equal ratio, their geometric middle)."""
    zipf_exponent: Estimate
    """The exponent s of BurstGPT's Zipf law fitted to the input lengths by maximum likelihood."""
    output_modes: Estimate
    """Hartigan's dip of the log output lengths; ``output_dip_p`` is the odds of as large a dip with one mode."""
    output_dip_p: float
    together: Estimate
    """Correlation, over periods, of the change of mean input with that of mean output: independent shifts give 0."""


# --- clients ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Client:
    """One of the busiest clients, alone."""

    name: str
    requests: int
    share: float
    rate_per_s: float
    cv: float
    mean_input: float
    mean_output: float
    rate: Series
    input: Series
    output: Series
    input_drift: float
    """Spread of its own mean input over periods: CV of the period means, sampling noise removed."""
    output_drift: float


@dataclass(frozen=True, eq=False)
class ClientFigures:
    """Who sends (ServeGen's findings 5 and 11, figures 5 to 7 and 17)."""

    count: int
    what: str
    """What a "client" is in this trace: the column it was taken from."""
    top_share: dict[int, Estimate]
    """The share of requests of the k busiest, for k = 1, 4, 10, 100 as far as there are so many."""
    gini: Estimate
    needed: dict[int, int]
    """How many clients make 50, 90 and 99 % of the requests."""
    skew: Curve
    """Cumulative share of requests (y) of the x busiest clients."""
    rate_cdf: Curve
    """Over clients weighted by requests: cumulative share against the client's rate per second."""
    cv_cdf: Curve
    """… against the CV of the client's own gaps (request-weighted mean over its windows)."""
    input_cdf: Curve
    output_cdf: Curve
    bursty_share: Estimate
    """The share of requests that come from clients whose CV is above 1.2 (clients with at least 50 requests only)."""
    top: tuple[Client, ...]
    """The four busiest."""
    explained: dict[int, Estimate]
    """The share of the variance of the total rate over windows that the k busiest explain (covariance of their sum with
    the total, over the variance of the total), for k = 1, 5, 10."""
    own_drift: Estimate
    """How far a client's own mean input moves over periods, the median over the clients that hold 90 % of requests."""
    whole_drift: Estimate
    """How far the mean input of the whole moves over the same periods."""
    mix_explains: Estimate
    """The share of the variance of the whole's mean input over periods that is left when every client keeps its own
    all-time mean and only the mix of clients moves."""
    window_s: float = 0.0
    """The windows that CVs and explained variances are over: the setting's, shorter for a trace of few hours, longer
    where memory asked for it."""
    period_s: float = 0.0
    """The periods that drifts are over: the setting's at most."""
    cv_known: float = nan
    """The share of requests that come from clients of whom there is a CV."""
    window_cv_cdf: Curve = field(default_factory=Curve)
    """As ``cv_cdf``, of single windows of clients with at least 10 gaps: a client that bursts now and then is calm
    in most of them."""


# --- modalities -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Modality:
    """Images, audio or video."""

    name: str
    share: Estimate
    """Of requests that have at least one."""
    per_request: Curve
    """The share of those with exactly x items, for the numbers that occur (at most 200)."""
    mean_items: Estimate
    tokens: Curve
    """Distribution of an item's tokens."""
    mean_tokens: Estimate
    sizes: tuple[tuple[int, float], ...]
    """The sizes that at least 2 % of items have exactly, with their shares, most frequent first: standard sizes."""
    spearman: Estimate
    """Rank correlation of a request's text with its tokens of this kind."""
    rate: Series
    """Tokens of this kind per second."""
    shift: Estimate
    """95th over 5th percentile of the windows' tokens per second."""
    shift_by_chance: float = nan
    """What ``shift`` would be at a constant rate, with tokens as uneven as they are from one stretch of some minutes to
    the next."""


@dataclass(frozen=True, eq=False)
class ModalityFigures:
    """What prompts hold beside text (ServeGen's findings 6 to 8, figures 8 to 11)."""

    modalities: dict[str, Modality]
    modal_share: Estimate
    """Tokens of items over all input tokens, the mean over requests that have items."""
    share_cdf: Curve
    """Distribution of a request's modal share."""
    share_spread: float
    """Standard deviation of that share."""
    text_rate: Series
    """Tokens of text per second."""
    together: dict[str, Estimate]
    """Correlation over windows of the rate of tokens of a kind with the rate of text tokens."""


# --- reasoning --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ReasoningFigures:
    """How replies think (ServeGen's findings 9 and 11, figures 13 and 17)."""

    share: Estimate
    """Of requests that reason at all."""
    reason: Field
    answer: Field
    times: Estimate
    """Tokens of reasoning over tokens of answer, in total."""
    spearman: Estimate
    """Rank correlation of reason and answer lengths."""
    ratio: Curve
    """Histogram of reason over output: the share of requests (y) in each of 50 equal parts of 0…1 (x: the middle)."""
    ratio_periods: tuple[tuple[float, Curve], ...]
    """The same in at most four periods: (start, histogram)."""
    ratio_clients: tuple[tuple[str, Curve], ...]
    """The same of the four busiest clients."""
    modes: tuple[float, ...]
    """Where the histogram has its modes."""
    dip: float
    """Hartigan's dip statistic of the ratio."""
    dip_p: float
    """The odds of as large a dip from one mode."""
    by_reason: Band
    """Median and 90 % band of the answer, against the reason tokens."""


# --- conversations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ConversationFigures:
    """Requests that follow on one another (ServeGen's finding 10, figures 14 to 16)."""

    source: str
    """``ids``: the trace names conversations; ``prefixes``: they were inferred from prefix blocks."""
    conversations: int
    sampled: float
    """The share of conversations that was followed: below 1 only where memory would have run out."""
    multi_turn_share: Estimate
    """Requests in conversations of at least two turns, over all requests."""
    mean_turns: Estimate
    """Of conversations of at least two turns."""
    turns: Curve
    """The share of conversations (y) of exactly x turns."""
    gap: Curve
    """Distribution of the time between one turn's arrival and the next one's, in seconds."""
    gap_p50: Estimate
    gap_p90: Estimate
    gap_by_turn: Band
    """Median and 80 % band of the inter-turn time, against the turn that it leads from."""
    gap_lognormal: Fit | None
    think: Curve
    """Distribution of ``think_s`` where the trace has it."""
    growth: Band
    """Median and 80 % band of the input tokens, against the turn."""
    growth_per_turn: Estimate
    """Mean input of a turn less that of the turn before, over conversations."""
    single_cv: Estimate
    """CV of the gaps between single-turn requests, within windows."""
    multi_cv: Estimate
    """CV of the gaps between requests of multi-turn conversations, within windows."""
    whole_cv: Estimate
    starts_cv: Estimate
    """CV of the gaps between the first turns of conversations."""


# --- prefixes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PrefixFigures:
    """What prompts share with earlier ones, by the ids of their blocks."""

    block_tokens: int
    blocks: int
    distinct: int
    sampled: float
    """The share of blocks that was followed (SHARDS, Waldspurger et al., FAST 2015)."""
    ideal_hit_rate: Estimate
    """Blocks seen before in the trace, over all blocks: what a cache without bounds would hit."""
    hit_rate: Curve
    """What an LRU cache of x blocks hits (y): from 1 to all distinct blocks."""
    reuse_s: Curve
    """Distribution of the time since a block was last seen, of those seen before."""
    reuse_blocks: Curve
    """Distribution of the number of distinct blocks since (LRU stack distance)."""
    within_conversation: Estimate
    """Of the hits, those whose block was last seen in the same conversation; nan where there are no conversations."""
    within_client: Estimate
    """Of the hits, those whose block was last seen from the same client; nan where there is one client."""
    popular: Curve
    """Share of all block references (y) that go to the x most referenced blocks."""
    shared_tokens: Curve
    """Distribution over requests of the number of leading tokens that were seen before."""


# --- failures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FailureFigures:
    """Requests that failed (BurstGPT's figures on failures)."""

    failed: int
    rate: Estimate
    """Failed over all."""
    by_model: dict[str, Estimate]
    by_client: dict[str, Estimate]
    """The ten busiest."""
    over_time: Series
    by_load: Band
    """The failure rate, with its interval, against the requests per second of the minute it fell in (deciles)."""
    load_ratio: Estimate
    """The failure rate in the busiest tenth of minutes (by requests) over that in the rest: above 1 where failures come
    with bursts."""
    load_s: float = 60.0
    """How long such a minute is: longer for a trace of more than six weeks."""
