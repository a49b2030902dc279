"""What prompts share with earlier ones."""

from __future__ import annotations

from collections.abc import Iterator

from groundswell.characterize.figures import PrefixFigures
from groundswell.report import axes, palette, plot, words
from groundswell.report.figure import Fact, Facts, Figure, Section
from groundswell.report.topics.context import Context


def section(prefixes: PrefixFigures, context: Context) -> Section:
    """Hits of caches of all sizes, and how long and how far apart blocks are used again."""
    return Section(
        "prefixes",
        "Prefixes",
        f"What prompts share with earlier ones, in blocks of {words.tokens(prefixes.block_tokens)}.",
        _facts(prefixes),
        tuple(_figures(prefixes)),
    )


def _facts(prefixes: PrefixFigures) -> list[Fact]:
    facts = Facts()
    facts.add("Hit rate of a cache without bounds", prefixes.ideal_hit_rate, words.share)
    facts.add("Blocks", prefixes.blocks)
    facts.add("Distinct blocks", prefixes.distinct)
    facts.add("Hits within the same conversation", prefixes.within_conversation, words.share)
    facts.add("Hits within the same client", prefixes.within_client, words.share)
    if prefixes.sampled < 1:
        facts.add("Share of blocks that was followed", prefixes.sampled, words.share)
    return facts.rows


_HIGH = 0.85
"""A hit rate above which a chart has no room for words."""


def _figures(prefixes: PrefixFigures) -> Iterator[Figure]:
    n = words.count(prefixes.blocks, "block") + (
        f", of which {words.share(prefixes.sampled)} followed" if prefixes.sampled < 1 else ""
    )
    ideal = prefixes.ideal_hit_rate.value
    reused = axes.share("share of reused blocks up to x", whole=True)
    charts = (
        ("hit-rate", "Hit rate of a cache", f"What a least-recently-used cache of so many blocks of "
         f"{words.tokens(prefixes.block_tokens)} hits; without bounds it would hit {words.share(ideal)}.",
         prefixes.hit_rate, axes.count("blocks that the cache holds", log=True), axes.share("share of blocks hit")),
        ("reuse-time", "Time to reuse", "The share of reused blocks that were last seen at most so long ago.",
         prefixes.reuse_s, axes.seconds("time since last seen"), reused),
        ("reuse-distance", "Distance to reuse",
         "The share of reused blocks with at most so many distinct blocks in between: a cache of that size hits them.",
         prefixes.reuse_blocks, axes.count("distinct blocks in between", log=True), reused),
        ("popular", "Popularity of blocks", "The share of all references that go to the x most referenced blocks.",
         prefixes.popular, axes.count("most referenced blocks", log=True),
         axes.share("share of references", whole=True)),
        ("shared", "Shared prefix of a request",
         "The share of requests of which at most so many leading tokens had been seen before.",
         prefixes.shared_tokens, axes.tokens("leading tokens seen before"),
         axes.share("share of requests up to x", whole=True)),
    )  # fmt: skip
    for key, title, caption, curve, x, y in charts:
        if curve.x.size:
            line = plot.curve(title, curve, palette.LIGHT["blue"])
            level = (
                plot.Level(ideal, "without bounds", below=ideal > _HIGH)
                if key == "hit-rate" and ideal == ideal
                else None
            )
            yield Figure(f"prefixes-{key}", title, caption, n, plot.lines([line], x, y, level))
