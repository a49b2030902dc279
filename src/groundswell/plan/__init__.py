"""How many instances a workload takes within an SLO: four ways to find out, side by side."""

from groundswell.plan.figures import Plan
from groundswell.plan.planner import Options, plan

__all__ = ["Options", "Plan", "plan"]
