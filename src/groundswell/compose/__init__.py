"""ClientPool → Workload: every client sends its own requests, and time order joins them."""

from groundswell.compose.stream import Composition, compose
from groundswell.compose.talking import Talking

__all__ = ["Composition", "Talking", "compose"]
