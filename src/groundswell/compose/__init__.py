"""ClientPool → Workload: every client sends its own requests, and time order joins them."""

from groundswell.compose.stream import Composition, compose

__all__ = ["Composition", "compose"]
