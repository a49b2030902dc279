"""A characterization as a page to read, and as files of figures."""

from groundswell.report.export import charts, write_figures, write_html
from groundswell.report.figure import Facts, Figure, Section, Table
from groundswell.report.html import page

__all__ = ["Facts", "Figure", "Section", "Table", "charts", "page", "write_figures", "write_html"]
