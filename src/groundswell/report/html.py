"""A page of charts that stands alone: no network, light and dark, for a wide screen, a phone and paper.

Whatever comes from a trace is escaped, and the page's content policy lets nothing run but the scripts it was written
with, and nothing be loaded from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from groundswell._version import __version__
from groundswell.report import palette
from groundswell.report.figure import Cell, Fact, Figure, Section, Table, Verdict

WIDE_TABLE = 5
"""A table of at least so many columns becomes a list of rows on a phone."""


def page(title: str, summary_html: str, sections: Sequence[Section], missing_title: str = "Not in this trace") -> str:
    """A whole page: ``summary_html`` on top, which is HTML, then the sections; those that are missing in one list."""
    there = [section for section in sections if not section.missing]
    missing = [section for section in sections if section.missing]
    scripts = (
        [_library(), _resource("page.js")] if any(section.figures for section in there) else [_resource("page.js")]
    )
    body = "\n".join([*map(_section, there), _missing(missing, missing_title)])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">
<title>{escape(title)}</title>
<style>
{_colours()}
{_resource("page.css")}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div class="top"><div>
<nav aria-label="Sections">{_links(there)}</nav>
<button id="theme" type="button" aria-label="Switch between light and dark">Dark</button>
</div></div>
<main id="content">
{summary_html}
{body}
<footer>Written by groundswell {escape(__version__)}. Intervals are of 95 %.
<span class="zoom-hint">In charts with a time, length or number along x: drag to move, Ctrl or ⌘ and the wheel to zoom,
double-click to go back.</span></footer>
</main>
<script type="application/json" id="chart-config">{as_script(palette.config_on_screen())}</script>
{"".join(f"<script>{script}</script>" for script in scripts)}
</body>
</html>
"""


def table(given: Table) -> str:
    """A table on a card."""
    head = "".join(
        f'<th{_prose(i in given.prose)} scope="col">{escape(name)}</th>' for i, name in enumerate(given.head)
    )
    rows = "".join(_row(given, row) for row in given.rows)
    note = f"<p>{escape(given.note)}</p>" if given.note else ""
    wide = " wide" if given.wide or len(given.head) >= WIDE_TABLE else ""
    return (
        f'<div class="card{wide}"><h3>{escape(given.title)}</h3>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}</div>"
    )


def facts(given: Iterable[Fact]) -> str:
    """Figures by name, each with its interval in small."""
    return "".join(
        f"<div><dt>{escape(fact.label)}</dt><dd>{escape(fact.value)}"
        + (f"<small>{escape(fact.interval)}</small>" if fact.interval else "")
        + "</dd></div>"
        for fact in given
    )


def as_script(value: object) -> str:
    """JSON that can stand within a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _section(section: Section) -> str:
    rows = facts(section.facts)
    figures, tables = "".join(map(_figure, section.figures)), "".join(map(table, section.tables))
    return (
        f'<section id="{section.key}" aria-labelledby="{section.key}-title">'
        f'<h2 id="{section.key}-title">{escape(section.title)}</h2><p>{escape(section.lead)}</p>'
        + (f'<dl class="facts">{rows}</dl>' if rows else "")
        + (f'<div class="figures{" stacked" if section.stacked else ""}">{figures}</div>' if figures else "")
        + (f'<div class="tables">{tables}</div>' if tables else "")
        + "</section>"
    )


def _figure(figure: Figure) -> str:
    key, title, caption = (escape(text) for text in (figure.key, figure.title, figure.caption))
    buttons = "".join(
        f'<button type="button" data-save="{kind}" aria-label="Save as {kind.upper()}: {title}">{kind.upper()}</button>'
        for kind in ("svg", "png")
    )
    return (
        f'<figure id="{key}"><h3>{title}</h3><p>{caption}</p>'
        f'<div class="chart"><div class="plot" role="img" aria-label="{title}. {caption}"></div>'
        f'<script type="application/json">{as_script(palette.on_screen(figure.spec))}</script></div>'
        f'<figcaption><span>n: {escape(figure.n)}</span><span class="save">{buttons}</span></figcaption></figure>'
    )


def _missing(sections: Sequence[Section], title: str) -> str:
    if not sections:
        return ""
    items = "".join(f"<li><b>{escape(section.title)}</b>: {escape(section.missing)}.</li>" for section in sections)
    return f'<div class="missing"><h2>{escape(title)}</h2><ul>{items}</ul></div>'


def _links(sections: Sequence[Section]) -> str:
    return "".join(f'<a href="#{section.key}">{escape(section.title)}</a>' for section in sections)


def verdict_cell(given: Verdict) -> str:
    """A cell that judges, in its colour."""
    return f'<td class="verdict {given.kind}"><span aria-hidden="true">{given.symbol}</span>{escape(given.text)}</td>'


def _row(given: Table, row: Sequence[str | Verdict | Cell]) -> str:
    first, *rest = row
    assert isinstance(first, str)  # noqa: S101 (the first column names the row)
    cells = "".join(
        verdict_cell(cell) if isinstance(cell, Verdict) else _cell(label, cell, i in given.prose)
        for i, (label, cell) in enumerate(zip(given.head[1:], rest, strict=True), 1)
    )
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'


def _cell(label: str, cell: str | Cell, prose: bool) -> str:
    text, small = (cell.text, cell.small) if isinstance(cell, Cell) else (cell, "")
    below = f"<small>{escape(small)}</small>" if small else ""
    named = f' data-label="{escape(label)}"' if label and text else ""
    return f"<td{_prose(prose)}{named}>{escape(text)}{below}</td>"


def _prose(prose: bool) -> str:
    return ' class="prose"' if prose else ""


def _colours() -> str:
    """The palette as CSS variables: light, dark where asked for by the person or the button, and light on paper."""
    light = "".join(f"--{name}:{value};" for name, (value, _) in palette.COLOURS.items()) + "--back:#f6f7f9;"
    dark = "".join(f"--{name}:{value};" for name, (_, value) in palette.COLOURS.items()) + "--back:#0f1217;"
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
        "@media print{:root{--back:#fff;}}"
    )


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, and nothing is fetched. Vega compiles its expressions, hence unsafe-eval."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed."""
    import vl_convert  # here because it takes a while, and only a page needs it

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


@cache
def _resource(name: str) -> str:
    return files("groundswell.report").joinpath(name).read_text(encoding="utf-8")
