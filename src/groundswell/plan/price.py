"""What an hour of hardware costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from groundswell.errors import UsageError
from groundswell.plan.figures import Hardware


@dataclass(frozen=True)
class Price:
    """So much an hour, for a GPU or for an instance, in whatever currency."""

    amount: float
    per: Literal["gpu", "instance"]

    @classmethod
    def parse(cls, text: str) -> Price:
        """From ``2.50/gpu`` or ``5/instance``. Raises UsageError, in one line that says what would be right.

        >>> Price.parse("2.5/gpu").hour(instances=3, gpus=2)
        15.0
        """
        number, _, per = text.replace(" ", "").lower().partition("/")
        try:
            amount = float(number)
        except ValueError:
            amount = math.nan
        if not (math.isfinite(amount) and amount >= 0) or per not in ("gpu", "instance"):
            raise UsageError(f"the price {text!r}: say what an hour costs, such as 2.50/gpu or 5/instance")
        return cls(amount, "gpu" if per == "gpu" else "instance")

    def hour(self, instances: int, gpus: int) -> float:
        """What so many instances of so many GPUs each cost."""
        return self.amount * instances * (gpus if self.per == "gpu" else 1)

    def __str__(self) -> str:
        return f"{self.amount:g} {'a GPU' if self.per == 'gpu' else 'an instance'}"


def hardware(instances: int, gpus: int, price: Price | None) -> Hardware:
    """What so many instances of so many GPUs take."""
    cost = math.nan if price is None else price.hour(instances, gpus)
    return Hardware(gpus, instances * gpus, float(instances * gpus), "" if price is None else str(price), cost)
