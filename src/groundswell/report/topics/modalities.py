"""What prompts hold beside text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundswell.characterize.figures import Modality, ModalityFigures
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section, Table
from groundswell.report.topics.context import Context


def section(modal: ModalityFigures, context: Context) -> Section:
    """Items, their sizes, their share of a request and their load over time."""
    kinds = list(modal.modalities.values())
    return Section(
        "modalities",
        "Modalities",
        "What prompts hold beside text: how many images, audios or videos, of what sizes, and how their load moves.",
        _facts(modal),
        tuple(_figures(modal, kinds, context)),
        tuple(_sizes(kind) for kind in kinds if kind.sizes),
    )


def _facts(modal: ModalityFigures) -> list[Fact]:
    facts = Facts()
    for name, kind in modal.modalities.items():
        facts.add(f"Requests with {many(name)}", kind.share, words.share)
        facts.add(f"{many(name).capitalize()} in each of those", kind.mean_items)
        facts.add(f"Tokens of one {name}", kind.mean_tokens)
        facts.add(f"Rank correlation of text with {name} tokens", kind.spearman)
        facts.add(f"Load of {many(name)}, busy over quiet windows", kind.shift)
    facts.add("Mean share of items in the input", modal.modal_share, words.share)
    facts.add("… its standard deviation over requests", modal.share_spread)
    for name, estimate in modal.together.items():
        facts.add(f"Correlation of the load of {many(name)} with that of text", estimate)
    return facts.rows


def _figures(modal: ModalityFigures, kinds: list[Modality], context: Context) -> Iterator[Figure]:
    for kind in kinds:
        if kind.per_request.x.size:
            most, rest = plot.most_of(kind.per_request)
            yield Figure(
                f"modalities-{kind.name}-items",
                f"{many(kind.name).capitalize()} in a request",
                f"The share of requests with {many(kind.name)} that have exactly so many.",
                f"{words.share(kind.share.value)} of {words.count(kind.share.n, 'request')}{rest}",
                plot.histogram(
                    most,
                    axes.count("items in the request"),
                    axes.share("share of requests"),
                    _colour(kind.name),
                ),
            )
    with_tokens = [kind for kind in kinds if kind.tokens.x.size]
    if with_tokens:
        yield Figure(
            "modalities-tokens",
            "Tokens of an item",
            "The share of items of at most so many tokens: a jump is a standard size.",
            ", ".join(words.count(kind.mean_tokens.n, kind.name, many(kind.name)) for kind in with_tokens),
            plot.lines(
                [plot.curve(kind.name, kind.tokens, _colour(kind.name)) for kind in with_tokens],
                axes.tokens("tokens of the item"),
                axes.share("share of items up to x", whole=True),
            ),
        )
    if modal.share_cdf.x.size:
        yield Figure(
            "modalities-share",
            "Share of items in the input",
            "The share of requests with items in which at most this part of the input tokens is items.",
            words.count(modal.modal_share.n, "request"),
            plot.lines(
                [plot.curve("modal share", modal.share_cdf, palette.LIGHT["blue"])],
                axes.share("tokens of items over all input tokens", whole=True),
                axes.share("share of requests up to x", whole=True),
            ),
        )
    loads = [(kind.name, kind.rate) for kind in kinds] + [("text", modal.text_rate)]
    loads = [(name, load) for name, load in loads if np.isfinite(load.value).any()]
    if loads:
        yield Figure(
            "modalities-load",
            "Load of each modality over time",
            "Tokens per second of each kind of input.",
            f"{words.count(loads[0][1].start_s.size, 'stretch', 'stretches')} of {words.duration(loads[0][1].width_s)}",
            plot.lines(
                [plot.series(name, load, _colour(name)) for name, load in loads],
                context.clock.axis(),
                axes.tokens("tokens per second"),
            ),
        )


def _sizes(kind: Modality) -> Table:
    rows = [(f"{size:,}", words.share(part)) for size, part in kind.sizes[:12]]
    return Table(f"Standard sizes of {many(kind.name)}", ("tokens", "share of items"), rows)


def many(name: str) -> str:
    """The plural of a kind of item, as people say it.

    >>> many("image"), many("audio")
    ('images', 'audio clips')
    """
    return "audio clips" if name == "audio" else f"{name}s"


def _colour(name: str) -> str:
    return palette.KINDS.get(name, palette.LIGHT["brown"])
