"""What a characterization says, topic by topic, as plain figures: what the report draws and ``--json`` prints.

Times are in seconds from the trace's start, tokens are tokens, shares are between 0 and 1. Arrays are bounded in size
however long the trace is: a series has at most some 500 points, a curve some 200. A topic of which a trace holds
nothing is None in :class:`groundswell.characterize.Characterization`.
"""

from __future__ import annotations

from groundswell.characterize.figures.arrivals import ArrivalFigures, GapWindow
from groundswell.characterize.figures.clients import Client, ClientFigures
from groundswell.characterize.figures.conversations import ConversationFigures
from groundswell.characterize.figures.failures import FailureFigures
from groundswell.characterize.figures.lengths import Field, LengthFigures, Period
from groundswell.characterize.figures.modalities import Modality, ModalityFigures
from groundswell.characterize.figures.prefixes import PrefixFigures
from groundswell.characterize.figures.reasoning import ReasoningFigures
from groundswell.characterize.figures.shared import UNKNOWN, Band, Series

__all__ = [
    "UNKNOWN",
    "ArrivalFigures",
    "Band",
    "Client",
    "ClientFigures",
    "ConversationFigures",
    "FailureFigures",
    "Field",
    "GapWindow",
    "LengthFigures",
    "Modality",
    "ModalityFigures",
    "Period",
    "PrefixFigures",
    "ReasoningFigures",
    "Series",
]
