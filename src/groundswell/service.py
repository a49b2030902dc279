"""The nominal speed of a service that nothing else is said of: what stands in for it where no reply has been timed."""

from __future__ import annotations

TTFT_S, TPOT_S = 0.5, 0.02
"""Seconds to a reply's first token, and for each of its tokens."""
