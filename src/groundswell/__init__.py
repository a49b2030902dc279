"""A workload lab for LLM serving."""

from groundswell._version import __version__

__all__ = ["__version__"]
