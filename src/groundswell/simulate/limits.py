"""How much of anything a fleet that is stated can have; what is beyond is a slip of the pen."""

from __future__ import annotations

MOST_COUNT = 1_000_000_000
MOST_INSTANCES = 100_000
MOST_BLOCKS = 100_000_000
"""Of keys and values, of an instance."""
LONGEST_S = 100 * 365 * 86_400.0
"""Of any time: 100 years."""
LONGEST_STEP_S = 86_400.0
"""Of any figure that a step's time is made of: a day."""
