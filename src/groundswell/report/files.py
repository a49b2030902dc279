"""Pages and figures as files: a page as HTML, each figure as SVG, PNG and PDF."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from groundswell.errors import UsageError
from groundswell.report import palette
from groundswell.report.figure import Figure, Spec
from groundswell.report.plot import READER
from groundswell.whole_file import appearing, check_folder, faults_of

WIDTH = 640
"""Of a figure in a file of its own, in CSS pixels; a PNG has twice as many."""


def write_page(text: str, path: Path) -> None:
    """The page as a file, whole or not at all."""
    with appearing(path) as beside, faults_of(path):
        beside.write_text(text, encoding="utf-8")


def write_each(figures: Iterable[Figure], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Each figure in each format as a file in ``folder``, named by the figure's key. Gives the files."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError(f"figures have no format {unknown[0]!r}; they have {', '.join(FORMATS)}")
    check_folder(folder)
    with faults_of(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures:
        drawing = drawn(figure)
        for name in formats:
            path = folder / f"{figure.key}.{name}"
            with appearing(path) as beside, faults_of(path):
                beside.write_bytes(FORMATS[name](drawing))
            written.append(path)
    return written


def drawn(figure: Figure) -> str:
    """The figure as SVG on white, with its title."""
    import vl_convert  # here because it takes a while, and only files of figures need it

    return str(vl_convert.vegalite_to_svg(alone(figure), config=palette.CONFIG, allowed_base_urls=[]))


def alone(figure: Figure) -> Spec:
    """The figure's chart as it stands in a file: of a fixed width, with its title, without what is for pointing."""
    spec = copy.copy(figure.spec)
    spec["layer"] = [layer for layer in spec["layer"] if layer.get("name") != READER]
    y_title = spec.get("title", {}).get("text", "")
    title = {"fontSize": 15, "fontWeight": "bold", "color": palette.LIGHT["ink"]}
    spec["title"] = title | {"text": figure.title, "subtitle": [y_title, ""] if y_title else ""}
    return spec | {
        "width": WIDTH,
        "background": "white",
        "padding": 12,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }


def _svg(drawing: str) -> bytes:
    return drawing.encode()


def _png(drawing: str) -> bytes:
    import vl_convert

    return bytes(vl_convert.svg_to_png(drawing, scale=2))


def _pdf(drawing: str) -> bytes:
    import vl_convert

    return bytes(vl_convert.svg_to_pdf(drawing))


FORMATS: dict[str, Callable[[str], bytes]] = {"svg": _svg, "png": _png, "pdf": _pdf}
